"""How many deliveries wait in the spool: counted, or not known; never none for lack of an answer."""

from pathlib import Path

import pytest

from eventlog.contract import LogUnavailable, Record
from eventlog.spool import Spool
from leadfold.cli.status import collect
from leadfold.cli.wait import spool_depth
from leadfold.config_file import Config, load
from leadfold.wiring import event_log, spool_path
from projector.wait import wait_visible


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "leadfold.toml").write_text(f'[secrets]\nkey_secret = "{"k" * 40}"\n')
    return load(tmp_path)


async def test_it_is_counted_while_ingest_holds_the_file(config: Config) -> None:
    assert await spool_depth(config.settings) == 0
    async with Spool(spool_path(config.settings)) as spool:
        await spool.put([Record(b"k", b"v", ())] * 3, deadline_s=5)
        assert await spool_depth(config.settings) == 3
        await spool.forget(await spool.head(2))
        assert await spool_depth(config.settings) == 1


async def test_what_cannot_be_counted_is_unknown(config: Config) -> None:
    path = spool_path(config.settings)
    path.parent.mkdir(parents=True)
    path.write_text("this is no spool" * 100)
    with pytest.raises(LogUnavailable, match="the spool cannot be counted"):
        await spool_depth(config.settings)
    found = (await collect(config))["spool"]
    assert found["records"] is None
    assert "cannot be counted" in found["error"]
    async with event_log(config.settings) as log:
        waited = await wait_visible(
            log, "postgresql://nobody", 0.0, spool_depth=lambda: spool_depth(config.settings)
        )
    assert not waited.visible
    assert "the spool cannot be counted" in waited.missing
