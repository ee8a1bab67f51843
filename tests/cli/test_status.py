"""What ``leadfold status`` tells people."""

from datetime import UTC, datetime

import pytest

from domain.printable import counted
from leadfold.cli.status import by_origin
from projector.status import SourceStatus

THEN, NOW = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


def test_the_settings_and_files_do_not_stand_among_those_who_send() -> None:
    told = [
        SourceStatus("/config/leadfold", THEN, THEN, 16),
        SourceStatus("/import/leadfold", THEN, THEN, 3),
        SourceStatus("/native/import", NOW, NOW, 5),
        SourceStatus("/sipuni/main", NOW, NOW, 7),
    ]
    senders, own = by_origin(told)
    assert [s.source for s in senders] == ["/native/import", "/sipuni/main"]
    assert [s.source for s in own] == ["/config/leadfold", "/import/leadfold"]


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 deliveries"), (1, "1 delivery"), (2, "2 deliveries"), (21, "21 deliveries")]
)
def test_one_is_not_said_as_many(number: int, told: str) -> None:
    assert counted(number, "delivery", "deliveries") == told
    assert counted(number, "event").endswith("s") == (number != 1)
