"""A test without its server is skipped for a developer and fails where it must run."""

import pytest

from tests.support.require import unavailable


def test_skips_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_KAFKA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no kafka here: no Java"):
        unavailable("kafka", "no Java")


def test_fails_where_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception, match="no browser here"):
        unavailable("browser", "none")
