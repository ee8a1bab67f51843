"""Site forms: Tilda (with tranid) and a plain HTML form of an older site (no id at all)."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from leadfold.demo.sent import FORM, TILDA, URLENCODED, Sent


def tilda(
    at: datetime,
    *,
    tranid: str,
    formid: str,
    name: str,
    phone: str,
    email: str | None,
    text: str,
    utm: dict[str, str],
    ym_uid: str,
) -> Sent:
    """A form of a Tilda site; the utm marks travel in the cookie TILDAUTM."""
    cookie = "".join(f"utm_{k}={v}|||" for k, v in utm.items())
    fields = {"Name": name, "Phone": phone}
    if email:
        fields["Email"] = email
    fields |= {
        "Comments": text,
        "Checkbox": "yes",
        "tranid": tranid,
        "formid": formid,
        "COOKIES": f"_ym_uid={ym_uid}; TILDAUTM={quote(cookie, safe='')}; PHPSESSID=0123456789abcdef",
    }
    return Sent(
        at=at,
        source=TILDA,
        kind="tilda.form",
        group=f"form:{tranid}",
        headers=URLENCODED,
        body=urlencode(fields).encode(),
    )


def tilda_probe(at: datetime) -> Sent:
    """What Tilda sends when the hook is saved."""
    return Sent(at=at, source=TILDA, kind="tilda.probe", group="probe", headers=URLENCODED, body=b"test=test")


def plain(
    at: datetime, *, group: str, name: str, phone: str, text: str, page: str, website: str = ""
) -> Sent:
    """The generic form with Russian field names; ``website`` is the honeypot that only robots fill."""
    fields = {"Имя": name, "Телефон": phone, "Сообщение": text, "page_url": page}
    if website:
        fields["website"] = website
    return Sent(
        at=at,
        source=FORM,
        kind="form.plain",
        group=group,
        headers=URLENCODED,
        body=urlencode(fields).encode(),
    )
