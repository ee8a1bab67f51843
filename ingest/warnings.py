"""What is accepted all the same, but looks like a slip of the pen: a word that the company's dictionary does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from domain.directory import Directory
from domain.facts.base import Fact

#: The field of a fact that holds a word of a dictionary, by the fact's type.
_WORDS: Final = {
    "inquiry.categorised": ("category", "category"),
    "inquiry.result_set": ("reason", "reason"),
    "refusal.recorded": ("reason", "reason"),
    "booking.cancelled": ("reason", "reason"),
}
_SHOWN: Final = 20
_TABLES: Final = {"category": "[[categories]]", "reason": "[[reasons]]"}


def warnings_of(fact: Fact, directory: Directory | None) -> Iterator[dict[str, str]]:
    """``{"field", "what"}`` for each word that the dictionary does not know. It never quotes what was sent."""
    if directory is None or fact.TYPE not in _WORDS:
        return
    name, dictionary = _WORDS[fact.TYPE]
    word = getattr(fact, name)
    if word is None or (dictionary, directory.entry_id(dictionary, word)) in directory.entries:
        return
    known = sorted(item for kind, item in directory.entries if kind == dictionary)
    near = _nearest(word, dictionary, directory)
    table, more = _TABLES[dictionary], " …" if len(known) > _SHOWN else ""
    yield {
        "field": name,
        "what": f"is not in the dictionary{f' (did you mean {near}?)' if near else ''}: known are"
        f" {', '.join(known[:_SHOWN])}{more}; add others to {table} of leadfold.toml",
    }


def _nearest(word: str, dictionary: str, directory: Directory) -> str | None:
    """Id of the entry whose id, label, or a word of whose label, looks most like ``word``."""
    entries = [
        (item, entry) for (kind, item), entry in sorted(directory.entries.items()) if kind == dictionary
    ]
    labels = [(item, label) for item, entry in entries for label in (entry.label, entry.label_en or "")]
    words = [(item, word) for item, label in labels for word in label.split()]
    names: dict[str, str] = {}
    # An entry's own id goes before the same word in the label of another one.
    for item, text in (*((item, item) for item, _ in entries), *labels, *words):
        names.setdefault(text.casefold(), item)
    near = difflib.get_close_matches(word.strip().casefold()[:60], names, 1)
    return names[near[0]] if near else None
