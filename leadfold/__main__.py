"""``python -m leadfold`` is the same as ``leadfold``."""

import sys

from leadfold.cli import main

sys.exit(main())
