"""Standard Webhooks signatures (v1: HMAC-SHA256 over ``id.timestamp.body``), checked and made."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

TOLERANCE_S: Final = 300
_PREFIX: Final = "whsec_"


def whsec(secret: str) -> str:
    """A source's secret in the spelling that Standard Webhooks senders want: ``whsec_`` and base64."""
    return secret if secret.startswith(_PREFIX) else _PREFIX + base64.b64encode(secret.encode()).decode()


def signing_key(secret: str) -> bytes:
    """The bytes to sign with. A ``whsec_`` secret that is no base64 is taken literally; nothing is raised."""
    if secret.startswith(_PREFIX):
        encoded = secret.removeprefix(_PREFIX)
        try:
            return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except (binascii.Error, ValueError):
            return encoded.encode("utf-8", "replace")
    return secret.encode("utf-8", "replace")


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature: ``v1,<base64>``."""
    content = f"{message_id}.{timestamp}.".encode("utf-8", "replace") + body
    return "v1," + base64.b64encode(hmac.new(signing_key(secret), content, hashlib.sha256).digest()).decode()


def is_signed(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Whether one of the signatures is ours and the timestamp within five minutes of ``now``.

    ``headers`` have lower-case names. Malformed headers are no signature; nothing is raised.
    """
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "")
    if not (message_id and given and secret) or not (
        stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
    ):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE_S:
        return False
    wanted = sign(secret, message_id, int(stamp), body).encode()
    found = False
    for signature in given.split(" ")[:20]:  # several while a secret is being changed
        found |= hmac.compare_digest(signature.encode("utf-8", "replace"), wanted)
    return found
