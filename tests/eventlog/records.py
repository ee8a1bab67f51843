"""Records for the tests, as varied as real ones."""

import asyncio
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

from eventlog.contract import EventLog, Record, StoredRecord

ODD_HEADERS = (
    ("ce_id", b"1"),
    ("ce_id", b"again"),  # names may repeat
    ("имя", "значение".encode()),
    ("raw", bytes(range(256))),  # no UTF-8
    ("empty", b""),
    ("", b"nameless"),
)


def record(number: int, key: str = "key", size: int = 0) -> Record:
    """A record that knows its number within its key."""
    value = b'{"n":%d}' % number
    return Record(key.encode(), value + b" " * max(0, size - len(value)), (("ce_id", b"%d" % number),))


def records(count: int, keys: int = 5) -> list[Record]:
    """``count`` records numbered from 0, their keys taking turns."""
    return [record(number, f"key-{number % keys}") for number in range(count)]


async def read_all(log: EventLog, *, at_least: int = 0, timeout_s: float = 10.0) -> list[StoredRecord]:
    """Everything in the log, partition by partition; waits until ``at_least`` records are there."""
    found: list[StoredRecord] = []
    async with asyncio.timeout(timeout_s):
        while True:
            found = []
            for partition, (first, following) in (await log.bounds()).items():
                offset = first
                while offset < following:
                    chunk = await log.read(partition, offset, max_records=500, max_wait_s=1)
                    found += chunk
                    offset = chunk[-1].offset + 1
            if len(found) >= at_least:
                return found


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Return when the condition holds; fail when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event to tell
            await asyncio.sleep(0.01)


def by_key(stored: Sequence[StoredRecord]) -> dict[bytes, list[Record]]:
    """Records of each key in the order in which they were given."""
    found: dict[bytes, list[Record]] = {}
    for each in stored:
        found.setdefault(each.record.key, []).append(each.record)
    return found


def odd_records() -> st.SearchStrategy[Record]:
    """Any record at all."""
    names = st.text(max_size=12)
    headers = st.lists(st.tuples(names, st.binary(max_size=40)), max_size=6).map(tuple)
    return st.builds(Record, st.binary(max_size=60), st.binary(max_size=300), headers)
