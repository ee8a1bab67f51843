"""What gathers goes together while turns of the loop bring more, at once when it is much, and soon when it is alone."""

import asyncio
from pathlib import Path

from eventlog.embedded import EmbeddedLog
from eventlog.gathering import Gathering
from tests.eventlog.records import record


class Bus:
    """Takes what gathers, and tells how many went each time."""

    def __init__(self, most: int) -> None:
        self.waiting = 0
        self.gone: list[int] = []
        self.gathering = Gathering(most, self._go)

    def _go(self) -> None:
        self.gone.append(self.waiting)
        self.waiting = 0

    def come(self, count: int = 1) -> None:
        for _ in range(count):
            self.waiting += 1
            self.gathering.came()
            self.gathering.soon()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_alone_goes_after_one_turn_that_brought_nothing() -> None:
    bus = Bus(10)
    for number in range(3):
        bus.come()
        assert len(bus.gone) == number, "not yet: more may come in this turn"
        await turns(3)
        assert bus.gone == [1] * (number + 1)


async def test_what_comes_in_turns_that_follow_each_other_goes_together() -> None:
    bus = Bus(100)
    for _ in range(7):
        bus.come(2)
        await turns(1)
    assert not bus.gone
    await turns(3)
    assert bus.gone == [14]


async def test_much_goes_at_once_and_what_comes_after_it_gathers_anew() -> None:
    bus = Bus(10)
    bus.come(25)
    assert bus.gone == [10, 10], "whoever never pauses does not keep others waiting"
    await turns(1)
    bus.come()
    await turns(4)
    assert bus.gone == [10, 10, 6]
    assert not bus.waiting


async def test_what_came_while_nothing_could_go_goes_when_it_can() -> None:
    bus = Bus(10)
    for count in (4, 12):
        for _ in range(count):
            bus.waiting += 1
            bus.gathering.came()
        await turns(3)
        assert not bus.gone, "nobody said that it is to go"
        bus.gathering.soon()
        await turns(3)
        assert bus.gone == [count]
        bus.gone.clear()
    bus.gathering.soon()  # nothing came at all
    await turns(3)
    assert sum(bus.gone) == 0


async def test_appends_of_turns_that_follow_each_other_share_a_commit(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path / "events.db") as log:
        await log.append([record(0)], deadline_s=10)
        before = log.counters["commits"]
        waiting = []
        for number in range(1, 13):
            waiting.append(log.submit([record(number)], deadline_s=10))
            await turns(1)
        assert [where.offset for future in waiting for where in await future] == list(range(1, 13))
        assert log.counters["commits"] == before + 1
