"""The configuration of sources: what is refused and why, and replacing it at run time."""

from typing import Any

import pytest

from ingest.adapters.registry import adapters, providers
from ingest.sources import SourceBook, SourceConfig
from tests.ingest.support import SECRET, source


def test_a_good_source_has_no_problems() -> None:
    assert (
        source("sipuni", timezone="Asia/Yekaterinburg", options={"area_code": "343"}).problems(providers())
        == []
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "Главный"}, "name"),
        ({"name": "-x"}, "name"),
        ({"provider": "sipunny"}, "unknown provider 'sipunny' (known: form, jivo"),
        ({"secret": "short"}, "at least 8"),
        ({"timezone": "Mars/Base"}, "time zone"),
        ({"timezone": "../etc"}, "time zone"),
        ({"region": "RUS"}, "two-letter"),
        ({"options": {"key_in": "cookie"}}, "key_in"),
        ({"options": {"key_in": "header"}}, "needs key_name"),
    ],
)
def test_problems_are_said(settings: dict[str, Any], words: str) -> None:
    (problem,) = source(**{"provider": "form", **settings}).problems(providers())
    assert words in problem
    assert "short" not in problem


def test_secrets_are_not_shown() -> None:
    shown = repr(source("form", options={"key_value": "hidden-too"}))
    assert SECRET not in shown
    assert "hidden-too" not in shown


def test_the_book_is_replaced_as_a_whole() -> None:
    book = SourceBook([source("sipuni")])
    with pytest.raises(ValueError, match="two sources"):
        book.replace([source("jivo"), source("form")])
    assert [s.provider for s in book] == ["sipuni"]
    book.replace([source("native", name="b"), source("native", name="a"), source("jivo", name="chat")])
    assert book.get("main") is None
    assert [s.name for s in book.native()] == ["a", "b"]
    assert [s.name for s in book] == ["a", "b", "chat"]
    assert len(book) == 3
    assert book.by_path("/jivo/chat") is book.get("chat") is not None
    assert book.by_path("/sipuni/chat") is None


def test_every_provider_is_found_once() -> None:
    assert providers() == ["form", "jivo", "native", "sipuni", "sipuni-tracking", "tilda"]
    assert all(a.provider == name for name, a in adapters().items())
    assert SourceConfig("a", "form", "x" * 8).path == "/form/a"
