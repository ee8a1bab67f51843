"""The version of the fold, apart from the fold: whoever only names it need not load everything that folds."""

from __future__ import annotations

from typing import Final

FOLD_VERSION: Final = 4
"""Raised whenever the same facts may give other rows: rows of an older version are folded again."""
