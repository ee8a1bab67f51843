"""Who is who (spec 2.3), on worked examples."""

from __future__ import annotations

from domain.directory import Directory
from domain.facts.company import EmployeeChanged, NumberAssigned
from domain.facts.inquiries import IdentityLinked, IdentityUnlinked, InquiryCategorised
from domain.facts.leads import LeadOpened, TaskCreated
from domain.facts.sales import BookingMade
from domain.facts.sites import ChatFinished, ChatMessage, ChatStarted, ContactCaptured
from domain.identity import client_id
from tests.domain.story import PHONE, Story, at

SECOND = "+79990000002"


def test_a_form_with_phone_and_email_makes_them_one_client() -> None:
    story = Story()
    story.call("1", at())
    story.form("f1", at(days=1), email="anna@sto.example")
    story.form("f2", at(days=2), phone=None, email="anna@sto.example")
    (client,) = story.fold().clients
    assert client.client_id == client_id(f"phone:{PHONE}")
    assert (client.phones, client.emails) == ((PHONE,), ("anna@sto.example",))


def test_older_id_stays_and_the_other_is_an_alias() -> None:
    story = Story()
    story.call("1", at(), phone=SECOND)
    story.call("2", at(hours=1), phone=PHONE)
    story.say(IdentityLinked(a=PHONE, b=SECOND), at(days=1))
    told = story.fold()
    (client,) = told.clients
    assert client.client_id == client_id(f"phone:{SECOND}")
    assert (client_id(f"phone:{PHONE}"), client.client_id) in told.rows["client_alias"]


def test_unlink_parts_them_again_and_a_later_link_joins() -> None:
    story = Story()
    story.call("1", at(), phone=SECOND)
    story.form("f", at(hours=2), phone=PHONE, email="a@b.example")
    story.form("g", at(hours=3), phone=SECOND, email="a@b.example")
    assert len(story.fold().clients) == 1
    story.say(IdentityUnlinked(a=PHONE, b=SECOND), at(days=1))
    assert len(story.fold().clients) == 2
    story.say(IdentityLinked(a=PHONE, b=SECOND), at(days=2))
    assert len(story.fold().clients) == 1


def test_anonymous_chat_becomes_the_clients_when_he_gives_his_phone() -> None:
    """Rule 2: history is folded again under the client."""
    story = Story()
    story.say(ChatStarted(chat_id="9", visitor_id="57"), at(), source="/jivo/chat", native=("9",))
    assert story.fold().clients[0].kind == "anonymous"
    story.say(ContactCaptured(visitor_id="57", phone=PHONE), at(days=3), source="/jivo/chat", native=("57",))
    story.call("1", at(days=5))
    told = story.fold()
    (client,) = told.clients
    assert client.client_id == client_id(f"phone:{PHONE}")
    assert [i.kind for i in told.inquiries] == ["chat", "phone"]


def test_one_browser_of_a_family_does_not_make_it_one_person() -> None:
    story = Story()
    story.say(ChatFinished(chat_id="1", visitor_id="57", phone=PHONE), at(), source="/jivo/c", native=("1",))
    story.say(
        ChatFinished(chat_id="2", visitor_id="57", phone=SECOND), at(days=40), source="/jivo/c", native=("2",)
    )
    story.say(ChatFinished(chat_id="3", visitor_id="57"), at(days=41), source="/jivo/c", native=("3",))
    told = story.fold()
    assert len(told.clients) == 2
    by_client = {c.client_id: c.phones for c in told.clients}
    assert [by_client[i.client_id] for i in told.inquiries] == [(PHONE,), (SECOND,), (SECOND,)]


def test_hidden_number_is_an_anonymous_client_of_its_own() -> None:
    """L17."""
    story = Story()
    story.call("1", at(), phone=None)
    story.call("2", at(hours=1), phone=None)
    told = story.fold()
    assert [c.kind for c in told.clients] == ["anonymous", "anonymous"]
    assert len(told.leads) == 2


def test_operators_word_by_bare_call_id_reaches_the_scoped_call() -> None:
    story = Story()
    story.call("1", at(), source="/sipuni/main")
    story.say(InquiryCategorised(call_id="1", category="parts"), at(minutes=2))
    (inquiry,) = story.fold().inquiries
    assert inquiry.category_id == "parts"
    assert len(story.fold().clients) == 1


def test_dialogue_taken_up_after_a_day_is_a_new_inquiry() -> None:
    """R0.18."""
    story = Story()
    asked = (ChatMessage(by="visitor"),)
    first, second = (ChatFinished(chat_id="9", phone=PHONE, messages=m) for m in ((), asked))
    story.say(first, at(), source="/jivo/c", native=("9", "a"))
    again = story.say(second, at(hours=25), source="/jivo/c", native=("9", "b"))
    told = story.fold()
    assert [i.kind for i in told.inquiries] == ["chat", "chat"]
    assert told.inquiries[1].inquiry_id == again.id
    story.say(InquiryCategorised(inquiry_id=again.id, category="repair"), at(hours=26))
    assert story.fold().inquiry(again.id).is_target


LINE = "+74990000012"


def test_a_forwarded_call_hides_who_calls() -> None:
    """Spec 2.3: the caller's number is our own line. It is a client's call, and not always the same client's."""
    story = Story(Directory.build([Story().say(NumberAssigned(number=LINE), at(days=-9))]))
    story.call("1", at(), phone=LINE, talk=None)
    story.call("2", at(hours=1), phone=LINE)
    story.say(InquiryCategorised(call_id="2", category="repair"), at(hours=2))
    told = story.fold()
    assert [(i.kind, i.is_target, i.excluded) for i in told.inquiries] == [
        ("missed", False, None),
        ("phone", True, None),
    ]
    assert [(c.kind, c.phones) for c in told.clients] == [("anonymous", ()), ("anonymous", ())]
    assert [c.client_phone for c in told.calls] == [None, None]


def test_a_form_with_our_own_line_has_no_contact() -> None:
    story = Story(Directory.build([Story().say(NumberAssigned(number=LINE), at(days=-9))]))
    story.form("f", at(), phone=LINE)
    assert [i.excluded for i in story.fold().inquiries] == ["no_contact"]


def test_a_line_that_is_an_employees_own_phone_is_the_employees() -> None:
    teller = Story()
    told = [
        teller.say(NumberAssigned(number=LINE), at(days=-9)),
        teller.say(EmployeeChanged(employee_id="anna", name="Анна", phones=(LINE,)), at(days=-9)),
    ]
    story = Story(Directory.build(told))
    story.call("1", at(), phone=LINE)
    assert [i.excluded for i in story.fold().inquiries] == ["mark:employee"]


def test_a_lead_of_odds_and_ends_does_not_make_its_people_one() -> None:
    """A CRM's lead «Разное»: what is said with a phone or a call of its own stays with that client."""
    story = Story()
    story.say(LeadOpened(lead_id="misc"), at(days=-1))
    first = story.call("1", at())
    second = story.call("2", at(hours=1), phone=SECOND)
    story.say(InquiryCategorised(call_id="1", lead_id="misc", category="repair"), at(hours=2))
    story.say(InquiryCategorised(call_id="2", lead_id="misc", category="parts"), at(hours=2))
    story.say(BookingMade(booking_id="B", lead_id="misc", phone=SECOND), at(hours=3))
    told = story.fold()
    assert sorted(c.phones for c in told.clients) == [(PHONE,), (SECOND,)]
    assert [(i.inquiry_id, i.category_id, i.booked_at) for i in told.inquiries] == [
        (first, "repair", None),
        (second, "parts", at(hours=3)),
    ]
    assert [i.client_id for i in told.inquiries] == [client_id(f"phone:{p}") for p in (PHONE, SECOND)]


def test_what_says_only_its_lead_is_the_leads_clients() -> None:
    """The usual lead has one contact: bookings, tasks and calls without a number lie with it."""
    story = Story()
    hidden = story.call("1", at(), phone=None)
    story.say(LeadOpened(lead_id="7", phone=PHONE, call_id="1"), at(hours=1))
    story.say(BookingMade(booking_id="B", lead_id="7"), at(hours=2))
    story.say(TaskCreated(task_id="T", lead_id="7"), at(hours=2))
    story.say(InquiryCategorised(lead_id="7", category="repair"), at(hours=3))
    told = story.fold()
    assert [c.phones for c in told.clients] == [(PHONE,)]
    assert [(i.inquiry_id, i.category_id, i.booked_at) for i in told.inquiries] == [
        (hidden, "repair", at(hours=2))
    ]


def test_what_says_only_a_lead_of_nobody_lies_together() -> None:
    story = Story()
    story.say(BookingMade(booking_id="B", lead_id="7"), at())
    story.say(TaskCreated(task_id="T", lead_id="7"), at(hours=1))
    story.say(LeadOpened(lead_id="7"), at(hours=2))
    assert len(story.fold().clients) == 1


def test_a_link_goes_before_what_a_fact_shares() -> None:
    """Both cannot hold beside the un-link: the operator's word stands."""
    story = Story()
    story.call("1", at(), phone=SECOND)
    story.form("f", at(hours=1), phone=PHONE, email="a@b.example")
    story.say(IdentityUnlinked(a="a@b.example", b=SECOND), at(hours=2))
    story.say(IdentityLinked(a=SECOND, b=PHONE), at(hours=3))
    assert sorted((c.phones, c.emails) for c in story.fold().clients) == [
        ((), ("a@b.example",)),
        ((PHONE, SECOND), ()),
    ]
