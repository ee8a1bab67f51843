"""Ids are uuid5 of the names that design.md gives them, whatever way they are computed."""

import hmac
import pickle
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from domain.identity import NAMESPACE, event_id, name_id
from domain.said import partition_key


@given(st.text())
def test_a_name_id_is_uuid5(name: str) -> None:
    made, wanted = name_id(name), uuid5(NAMESPACE, name)
    assert (made, str(made), hash(made), repr(made)) == (wanted, str(wanted), hash(wanted), repr(wanted))
    assert (made.version, made.variant, made.is_safe) == (5, wanted.variant, wanted.is_safe)
    assert pickle.loads(pickle.dumps(made)) == wanted


def test_an_event_id_joins_its_parts() -> None:
    assert event_id("/sipuni/main", "call.started", "1.1") == uuid5(
        NAMESPACE, "event\x1f/sipuni/main\x1fcall.started\x1f1.1"
    )


@given(st.binary(max_size=200), st.text())
def test_a_partition_key_is_an_hmac(secret: bytes, phone: str) -> None:
    wanted = hmac.digest(secret, f"phone:{phone}".encode(), "sha256")[:16].hex()
    assert partition_key((f"phone:{phone}", "form:1@site"), "nothing", secret) == wanted
