"""A call that is handed on and comes back: Sipuni names who answered each time, and all of it is one call (R0.12)."""

from urllib.parse import urlencode

from domain.directory import Directory
from domain.event import Event
from domain.fold import fold_group
from domain.rows import InquiryRow
from tests.ingest.support import delivery_of, events

CALL = {"call_id": "1710000000.10001", "src_num": "79990000001", "src_type": "1", "dst_type": "2"}


def answered(ext: str, second: int, by: str | None = None) -> list[Event]:
    """Event 3: an extension picks up, handed the call by another."""
    said = {**CALL, "event": "3", "short_dst_num": ext, "timestamp": str(1710000000 + second)}
    if by:
        said["transfer_from"] = by
    return list(events(delivery_of("sipuni", {"delivery": {"query": urlencode(said)}})))


def ended() -> list[Event]:
    """Event 2 of the call."""
    said = {
        **CALL, "event": "2", "short_dst_num": "201", "timestamp": "1710000300", "status": "ANSWER",
        "call_start_timestamp": "1710000000", "call_answer_timestamp": "1710000010", "last_called": "201,202",
    }  # fmt: skip
    return list(events(delivery_of("sipuni", {"delivery": {"query": urlencode(said)}})))


def talked_last(told: list[Event]) -> list[str | None]:
    """Whose inquiry it is."""
    rows = fold_group(told, Directory.build(()))["inquiry"]
    return [r.employee_id for r in rows if isinstance(r, InquiryRow)]


def test_who_gets_the_call_back_talked_last() -> None:
    told = answered("201", 10) + answered("202", 70, "201") + answered("201", 130, "202") + ended()
    assert talked_last(told) == talked_last(told[::-1]) == ["ext:201"]
    assert talked_last(answered("201", 10) + answered("202", 70, "201") + ended()) == ["ext:202"]


def test_a_repeated_answer_is_one() -> None:
    def ids(told: list[Event]) -> set[object]:
        return {e.id for e in told if e.type == "call.answered"}

    assert ids(answered("202", 70, "201")) == ids(answered("202", 71, "201"))
    assert ids(answered("201", 10)) != ids(answered("201", 130, "202"))
