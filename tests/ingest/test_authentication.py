"""Who may post: secret paths, keys elsewhere, the native contract's four ways, Standard Webhooks signatures."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.adapters.contract import fault
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.signatures import is_signed, sign, signing_key, whsec
from tests.ingest.support import RECEIVED, SECRET, delivery, source

NOW = int(RECEIVED.timestamp())


def known(one: Delivery) -> Any:
    return adapters()[one.source.provider].authenticate(one)


@pytest.mark.parametrize("provider", sorted(adapters()))
def test_secret_path(provider: str) -> None:
    assert known(delivery(provider, path=f"/in/main/{SECRET}"))
    assert known(delivery(provider, path=f"/in/main/{SECRET}/"))
    for path in (
        "/in/main/wrong",
        "/in/main/",
        "/in/main",
        f"/in/main/{SECRET}x",
        f"/in/main/{SECRET}//",
        f"/in/main/{SECRET}/x",
        "/in/main/%00",
    ):
        assert not known(delivery(provider, path=path))


def test_a_secret_with_odd_characters_is_percent_encoded() -> None:
    config = source("jivo", secret="ключ/ + %2F&")
    assert known(delivery("jivo", config=config, path=config.url_path))


@pytest.mark.parametrize("provider", ["tilda", "form", "sipuni"])
@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"key_in": "header", "key_name": "X-My-Key"}, {"headers": {"X-My-Key": SECRET}}),
        (
            {"key_in": "header", "key_name": "Authorization"},
            {"headers": {"Authorization": f"Bearer {SECRET}"}},
        ),
        (
            {"key_in": "header", "key_name": "X-My-Key", "key_value": "other"},
            {"headers": {"X-My-Key": "other"}},
        ),
        ({"key_in": "query", "key_name": "token"}, {"query": {"token": SECRET}}),
        ({"key_in": "body", "key_name": "mykey"}, {"form": {"mykey": SECRET, "phone": "1"}}),
        ({"key_in": "body", "key_name": "mykey"}, {"value": {"mykey": SECRET}}),
    ],
)
def test_keys_elsewhere(provider: str, options: dict[str, str], sent: dict[str, Any]) -> None:
    config = source(provider, options=options)
    assert config.url_path == "/in/main"
    assert known(delivery(provider, config=config, path="/in/main", **sent))
    assert not known(delivery(provider, config=config, path=f"/in/main/{SECRET}", form={"a": "1"}))
    wrong = source(provider, options=options | {"key_value": "something else"})
    assert not known(delivery(provider, config=wrong, path="/in/main", **sent))


def test_why_a_delivery_is_not_let_in() -> None:
    assert fault(delivery("form", path="/in/main")) == "no key in the address"
    assert fault(delivery("form", path="/in/main/wrong")) == "another key in the address"
    for where, place in (
        ("header", "header Token"),
        ("query", "parameter Token"),
        ("body", "field of the body Token"),
    ):
        config = source("form", options={"key_in": where, "key_name": "Token"})
        sent: dict[str, Any] = {
            "header": {"headers": {"Token": "x"}},
            "query": {"query": "Token=x"},
            "body": {"form": {"Token": "x"}},
        }
        assert fault(delivery("form", config=config, path="/in/main")) == f"no key in the {place}"
        wrong = delivery("form", config=config, path="/in/main", **sent[where])
        assert fault(wrong) == f"another key in the {place}"
        broken = delivery("form", config=config, path="/in/main", body=b"{")
        assert fault(broken) == f"no key in the {place}"


def test_an_empty_secret_opens_nothing() -> None:
    config = source("form", secret="")
    assert not known(delivery("form", config=config, path="/in/main/"))
    assert not known(
        delivery("native", config=source("native", secret=""), headers={"authorization": "Bearer "})
    )


def test_tilda_probe_without_its_key() -> None:
    config = source("tilda", options={"key_in": "header", "key_name": "Token"})
    assert known(delivery("tilda", config=config, path="/in/main", form={"test": "test"}))
    assert not known(delivery("tilda", config=config, path="/in/main", form={"test": "test", "Phone": "1"}))
    assert not known(delivery("tilda", path="/in/main/wrong", form={"test": "test"}))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer  {SECRET} "},
        {"X-Api-Key": SECRET},
        {"Authorization": "Basic " + base64.b64encode(f"1c:{SECRET}".encode()).decode()},
    ],
)
def test_native_keys(headers: dict[str, str]) -> None:
    assert known(delivery("native", path="/v1/events", value={}, headers=headers))
    other = source("native", secret="another-secret")
    assert not known(delivery("native", path="/v1/events", value={}, headers=headers, config=other))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + base64.b64encode(b"\xff").decode()},
        {"authorization": "Bearer"},
        {"x-api-key": " "},
        {"authorization": f"Digest {SECRET}"},
    ],
)
def test_native_without_a_key(headers: dict[str, str]) -> None:
    assert not known(delivery("native", path="/v1/events", value={}, headers=headers))


def signed(
    body: bytes,
    secret: str = SECRET,
    stamp: int = NOW,
    ident: str = "msg_1",
    prefix: Any = "",
    suffix: Any = "",
) -> Any:
    return {
        "webhook-id": ident,
        "webhook-timestamp": str(stamp),
        "webhook-signature": prefix + sign(secret, ident, stamp, body) + suffix,
    }


def test_standard_webhooks_vector() -> None:
    # The example of the specification's reference libraries.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert is_signed(headers, b'{"test": 2432232314}', secret, datetime.fromtimestamp(1614265330, UTC))


def test_signatures() -> None:
    body = b'{"a": 1}'
    config = source("native", options={"signing_secret": whsec("x" * 24)})
    good = signed(body, "whsec_" + base64.b64encode(b"x" * 24).decode())
    assert known(delivery("native", path="/v1/events", body=body, headers=good, config=config))
    assert known(delivery("native", path="/v1/events", body=body, headers=signed(body)))
    assert known(delivery("native", path="/v1/events", body=body, headers=signed(body, whsec(SECRET))))
    rotated = signed(body, prefix="v1,AAAA v1a,BBBB ", suffix=" v2,x")
    assert known(delivery("native", path="/v1/events", body=body, headers=rotated))
    assert not known(delivery("native", path="/v1/events", body=body + b" ", headers=signed(body)))
    assert not known(
        delivery("native", path="/v1/events", body=body, headers=signed(body) | {"webhook-id": "msg_2"})
    )


@pytest.mark.parametrize(
    ("seconds", "accepted"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)]
)
def test_replays_outside_the_window_are_refused(seconds: int, accepted: bool) -> None:
    assert is_signed(signed(b"x"), b"x", SECRET, RECEIVED + timedelta(seconds=seconds)) is accepted


@pytest.mark.parametrize("stamp", ["", "x", "-1", "1e9", "٣", "9" * 40, "1.5"])
def test_malformed_timestamps(stamp: str) -> None:
    assert not is_signed(signed(b"x") | {"webhook-timestamp": stamp}, b"x", SECRET, RECEIVED)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60), st.text(max_size=30))
def test_no_header_breaks_the_check(ident: str, stamp: str, signature: str, secret: str) -> None:
    headers = {"webhook-id": ident, "webhook-timestamp": stamp, "webhook-signature": signature}
    assert is_signed(headers, b"", secret, RECEIVED) is False
    signing_key(whsec(secret))


@given(st.binary(max_size=40), st.text(min_size=1, max_size=30))
def test_what_is_signed_is_accepted(body: bytes, secret: str) -> None:
    assert is_signed(signed(body, secret), body, secret, RECEIVED)
