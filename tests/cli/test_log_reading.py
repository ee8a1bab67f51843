"""Reading the log for commands: the newest events of a kind are found however far back they lie."""

from pathlib import Path

import pytest

from eventlog import sealing
from eventlog.contract import Record
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import label
from leadfold.log_reading import find, newest

ROOT = Path(__file__).resolve().parents[2]


def record(number: int, type_: str) -> Record:
    headers = (
        ("ce_id", b"%d" % number),
        ("ce_type", type_.encode()),
        ("ce_source", b"/form/site"),
        ("ce_time", b"2026-03-01T10:00:00.000000Z"),
    )
    return Record(b"k", b"{}", headers)


async def test_the_newest_of_a_type_are_found_behind_many_others(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        rare = {3, 4, 250, 990}
        everything = [record(n, "rare" if n in rare else "usual") for n in range(1000)]
        await log.append(everything, deadline_s=10)

        async def told(count: int, type_: str | None) -> list[int]:
            wanted = None if type_ is None else lambda one: one.type == type_
            return [int(label(s.record).id) for s in await newest(log, count, wanted=wanted)]

        assert await told(5, "rare") == [3, 4, 250, 990]
        assert await told(3, "rare") == [4, 250, 990]
        assert await told(1, "rare") == [990]
        assert await told(2, "usual") == [998, 999]
        assert await told(3, None) == [997, 998, 999]
        assert await told(0, "usual") == await told(5, "unheard") == []
        assert len(await told(5000, None)) == 1000
        assert [s.offset for s in await find(log, "250")] == [250]


def test_a_label_is_read_without_opening_anything() -> None:
    told = label(record(7, "call.ended"))
    assert told == ("7", "call.ended", "/form/site", "2026-03-01T10:00:00.000000Z")
    assert told.source_name == "site"
    assert label(Record(b"", b"{", (("ce_type", b"\xff"),))) == ("", "\ufffd", "", "")


@pytest.mark.parametrize("package", ["domain", "eventlog", "ingest", "projector", "reports", "leadfold"])
def test_only_the_sealing_module_knows_the_headers_of_a_record(package: str) -> None:
    """A later encryption changes one module: nothing else may reach into stored bytes. Schemas describe them."""
    known = {Path(sealing.__file__), *(ROOT / "leadfold" / "schemas").glob("*.py")}
    reaching = [
        path
        for path in (ROOT / package).rglob("*.py")
        if path not in known and '"ce_' in path.read_text("utf-8")
    ]
    assert reaching == []
