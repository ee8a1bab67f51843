"""The watch on leadfold.toml: no right version is missed, no wrong one is taken over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from leadfold.config_file import Config, load
from leadfold.services import base
from leadfold.services.ingest import Following, Sources
from leadfold.settings import Settings

HEAD = '[secrets]\nkey_secret = "0123456789012345678901234567890123456789"\n'


def source(name: str) -> str:
    return f'[[sources]]\nname = "{name}"\nprovider = "form"\nsecret = "{name}{"x" * 20}"\n'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(base, "LOOK_S", 0.02)
    (tmp_path / "leadfold.toml").write_text(HEAD)
    return load(tmp_path)


async def names(changed: AsyncIterator[Config]) -> list[str]:
    fresh = await asyncio.wait_for(anext(changed), 5)
    return [s.name for s in fresh.settings.sources]


async def test_a_change_before_the_watch_began_is_seen(config: Config) -> None:
    """A part reads its settings, then waits for the log to answer; a source added meanwhile must not get lost."""
    config.file.write_text(HEAD + source("early"))
    async with aclosing(base.changes(config)) as changed:
        assert await names(changed) == ["early"]


async def test_every_change_is_seen_and_a_wrong_one_passed_over(config: Config) -> None:
    async with aclosing(base.changes(config)) as changed:
        waiting = asyncio.create_task(names(changed))
        await asyncio.sleep(0.1)
        assert not waiting.done()  # what was read already is no change
        config.file.write_text(HEAD + "[ingest]\nport = -1\n")
        await asyncio.sleep(0.1)
        assert not waiting.done()
        config.file.write_text(HEAD + source("one"))
        assert await waiting == ["one"]
        config.file.write_text(HEAD + source("one") + source("two"))
        assert await names(changed) == ["one", "two"]


async def test_after_a_failure_it_is_compared_with_what_was_taken_over_last(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first settings to others, a failure, and back to the first: that is a change too."""
    monkeypatch.setattr(base, "_AGAIN_S", 0.05)
    sources = Sources(config.settings)
    take = sources.take

    def failing(settings: Settings) -> None:
        if settings.source("two") is not None:
            config.file.write_text(HEAD)  # somebody takes it all back while we stumble
            raise RuntimeError("nobody foresaw it")
        take(settings)

    monkeypatch.setattr(sources, "take", failing)
    following = asyncio.create_task(base.lasting("config", Following(config, sources, None).run))
    config.file.write_text(HEAD + source("one"))
    await until(lambda: sources.book.get("one") is not None)
    config.file.write_text(HEAD + source("one") + source("two"))
    await until(lambda: sources.book.get("one") is None)
    await base.ended(following)


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not check():  # noqa: ASYNC110 - a book of sources has no event
            await asyncio.sleep(0.01)
