"""The directory of leadfold.toml as events: each change once, in the right order, also after a lost note."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from domain.directory import Directory
from domain.event import Event
from domain.facts.company import EmployeeChanged
from eventlog.contract import Record
from eventlog.embedded import EmbeddedLog
from eventlog.sealing import unseal
from leadfold.config_file import parse
from leadfold.config_sync import BEGINNING, State, from_events, items, load_state, plan, save_state
from leadfold.services.directory import DirectoryPublisher
from leadfold.settings import Settings

HEAD = f'[secrets]\nkey_secret = "{"k" * 40}"\n'
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k"


def settings(text: str = "") -> Settings:
    return parse(HEAD + text, Path("/srv/leadfold.toml"))


def anna(name: str = "Анна", ext: str = "101") -> str:
    return f'[[employees]]\nid = "anna"\nname = "{name}"\nextensions = ["{ext}"]\n'


def step(text: str, state: State, at: datetime = NOW) -> tuple[list[Event], State]:
    return plan(items(settings(text)), state, now=at, key_secret=KEY)


def test_everything_becomes_an_event_for_all_history() -> None:
    text = (
        anna() + '[[offices]]\nid = "c"\nlabel = "Центр"\ntimezone = "Asia/Yekaterinburg"\n'
        '[[numbers]]\nnumber = "+74951234567"\nchannel = "2ГИС"\n[[stages]]\nid = "new"\nlabel = "Новая"\ngroup = "new"\n'
        '[[reasons]]\nid = "price"\nlabel = "Дорого"\n[[categories]]\nid = "wash"\nlabel = "Мойка"\n'
        "[rules]\nattribution_days = 5\n"
        '[[plans]]\nmetric = "arrival_rate"\nvalue = 300\nemployee = "anna"\n'
    )
    events, state = step(text, State())
    assert {e.time for e in events} == {BEGINNING}
    assert {e.source for e in events} == {"/config/leadfold"}
    directory = Directory.build(events)
    assert directory.employees["anna"].extensions[0].ext == "101"
    assert directory.zone_of("c") == "Asia/Yekaterinburg"
    assert directory.number_on("+74951234567", NOW).channel == "2ГИС"  # type: ignore[union-attr]
    assert directory.rules_at(NOW).attribution_days == 5
    assert directory.arrival_rate("anna", NOW, None) == 300
    assert directory.entries["reason", "price"].label == "Дорого"
    assert step(text, state) == ([], state)


def test_change_and_back_again_are_three_events() -> None:
    first, state = step(anna("Анна"), State())
    second, state = step(anna("Анна Смирнова"), state)
    third, state = step(anna("Анна"), state)
    ids = [e.id for e in (*first, *second, *third)]
    assert len(set(ids)) == 3
    assert [e.time for e in (*first, *second, *third)] == [BEGINNING, NOW, NOW + timedelta(microseconds=1)]
    assert Directory.build([*third, *first, *second]).employees["anna"].name == "Анна"


def test_who_is_added_later_takes_over_from_then_on() -> None:
    """G9: an extension handed to a new colleague leaves its past with the former; one of nobody's has no other past."""
    first, state = step(anna(), State())
    ivan = '[[employees]]\nid = "ivan"\nname = "Иван"\nextensions = ["101", "102"]\n'
    second, _ = step(anna(ext="103") + ivan, state)
    assert {e.time for e in second} == {NOW}
    directory = Directory.build([*first, *second])

    def on(ext: str, days: int) -> str | None:
        return directory.employee_by_ext(ext, NOW + timedelta(days=days), source="main", cabinet=None)

    assert [(on("101", d), on("102", d), on("103", d)) for d in (-1, 1)] == [
        ("anna", "ivan", "anna"),
        ("ivan", "ivan", "anna"),
    ]


def test_publishing_twice_is_one_event() -> None:
    once, _ = step(anna(), State())
    again, _ = step(anna(), State(), NOW + timedelta(days=1))
    assert once == again


def test_removed_items() -> None:
    text = (
        anna() + '[[reasons]]\nid = "price"\nlabel = "Дорого"\n[[reasons]]\nid = "own"\nlabel = "Своя"\n'
        '[[numbers]]\nnumber = "+74951234567"\nchannel = "2ГИС"\n[rules]\nattribution_days = 5\n'
        '[[plans]]\nmetric = "arrival_rate"\nvalue = 300\n'
    )
    first, state = step(text, State())
    second, state = step("", state)
    directory = Directory.build([*first, *second])
    assert directory.employees == {}
    assert directory.entries["reason", "price"].label == "Цена", "the built-in entry is back"
    assert ("reason", "own") not in directory.entries
    assert directory.rules_at(NOW).attribution_days == 30
    assert directory.number_on("+74951234567", NOW) is None
    assert directory.number_on("+74951234567", NOW - timedelta(days=1)) is not None, "what was counted stays"
    assert directory.arrival_rate("anna", NOW - timedelta(days=1), None) == 300
    assert directory.arrival_rate("anna", NOW + timedelta(days=1), None) == 0
    assert step("", state)[0] == []
    back, _ = step(text, state, NOW + timedelta(days=1))
    assert Directory.build([*first, *second, *back]).employees["anna"].name == "Анна"


def test_note_survives_and_a_damaged_one_is_no_note(tmp_path: Path) -> None:
    _, state = step(
        anna() + '[[plans]]\nmetric = "arrival_rate"\nvalue = 300.50\nfrom = 2026-01-01\n', State()
    )
    save_state(tmp_path, state)
    assert load_state(tmp_path) == state
    (tmp_path / "config-sync.json").write_text('{"items": [{}]}')
    assert load_state(tmp_path) is None


async def test_another_log_gets_the_directory_too(tmp_path: Path) -> None:
    """A topic that was made again, another file in its place: what the note tells of is not there."""
    settings = parse(f'data_dir = "{tmp_path}"\n' + HEAD + anna(), tmp_path / "leadfold.toml")
    for name, already, published in (
        ("one", 0, True),
        ("one", 0, False),
        ("two", 0, True),
        ("three", 1, True),
    ):
        async with EmbeddedLog(tmp_path / f"{name}.db") as log:
            if already:
                await log.append([Record(b"k", b"{}", ())], deadline_s=5)
            before = (await log.bounds())[0][1]
            count = await DirectoryPublisher(log, settings).publish()
            assert (await log.bounds())[0][1] == before + count
            assert bool(count) == published
            stored = await log.read(0, already, max_records=9, max_wait_s=0)
            cards = [event for each in stored if isinstance(event := unseal(each.record), Event)]
            assert [e.data.employee_id for e in cards if isinstance(e.data, EmployeeChanged)] == ["anna"]
            # alone on its log it holds from the beginning, beside others from now on
            assert all((e.time == BEGINNING) == (name != "three") for e in cards)


def test_after_a_lost_note_the_read_models_are_asked() -> None:
    first, state = step(anna("A"), State())
    second, _ = step(anna("B"), state)
    found = from_events([*second, *first])
    assert step(anna("B"), found)[0] == []
    third, _ = step(anna("C"), found, NOW + timedelta(hours=1))
    assert Directory.build([*first, *second, *third]).employees["anna"].name == "C"
    # nobody knows: everything again, now
    blind, _ = step(anna("C"), State(complete=False))
    assert [e.time for e in blind] == [NOW]


@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "B", None]), st.sampled_from(["X", "Y", None]), st.booleans()),
        max_size=8,
    )
)
def test_the_last_settings_always_win(history: list[tuple[str | None, str | None, bool]]) -> None:
    """Whatever is changed, removed, brought back, published twice by a crash, or forgotten by us."""
    log: list[Event] = []
    state = State()
    wanted: dict[str, str] = {}
    for number, (name, other, crash) in enumerate(history):
        wanted = {k: v for k, v in (("anna", name), ("ivan", other)) if v}
        text = "".join(f'[[employees]]\nid = "{k}"\nname = "{v}"\n' for k, v in wanted.items())
        events, after = step(text, state, NOW + timedelta(minutes=number))
        log += events
        if crash:
            again, _ = step(text, state, NOW + timedelta(minutes=number, seconds=30))
            log += again
        state = from_events(log) if crash and number % 2 else after
    unique: dict[object, Event] = {}
    for event in log:
        kept = unique.get(event.id)
        if kept is None or event.time < kept.time:
            unique[event.id] = event
    assert {k: e.name for k, e in Directory.build(unique.values()).employees.items()} == wanted


def test_removal_of_a_number_in_the_future_never_held() -> None:
    first, state = step('[[numbers]]\nnumber = "+74951234567"\nfrom = 2027-01-01\n', State())
    second, _ = step("", state)
    assert (
        Directory.build([*first, *second]).number_on("+74951234567", datetime(2027, 6, 1, tzinfo=UTC)) is None
    )
