"""Deliveries for the load: a site's form as Tilda sends it, and a Sipuni message as a GET. Each one is a fact of its own."""

from collections.abc import Callable

FORM = (
    b"Name=%%D0%%98%%D0%%B2%%D0%%B0%%D0%%BD+%%D0%%9F%%D0%%B5%%D1%%82%%D1%%80%%D0%%BE%%D0%%B2&Phone=%%2B7+%%28903%%29+%03d-%02d-%02d"
    b"&Email=ivan%d%%40example.ru&Comments=%%D0%%A5%%D0%%BE%%D1%%87%%D1%%83+%%D0%%B7%%D0%%B0%%D0%%BF%%D0%%B8%%D1%%81%%D0%%B0"
    b"%%D1%%82%%D1%%8C%%D1%%81%%D1%%8F+%%D0%%BD%%D0%%B0+%%D0%%A2%%D0%%9E&tranid=1234567%%3A%d&formid=form123456789"
    b"&formname=%%D0%%97%%D0%%B0%%D0%%BF%%D0%%B8%%D1%%81%%D1%%8C&COOKIES=_ym_uid%%3D1650000000%d%%3B%%20_ga%%3DGA1.2.%d.1650000000"
    b"%%3B%%20TILDAUTM%%3Dutm_source%%253Dyandex%%257C%%257C%%257Cutm_medium%%253Dcpc%%257C%%257C%%257Cutm_campaign%%253Dbrand"
    b"%%257C%%257C%%257C"
)
CALL = (
    b"event=1&call_id=%d.100&src_num=7903%07d&src_type=1&dst_num=74951234567&dst_type=1&short_src_num=7903%07d"
    b"&short_dst_num=74951234567&timestamp=1772442000&user_id=045678&treeName=%%D0%%9E%%D1%%81%%D0%%BD%%D0%%BE%%D0%%B2%%D0%%BD%%D0%%B0"
    b"%%D1%%8F&treeNumber=000-1&channel=SIP%%2F045678-%d&pbxdstnum=74951234567&roistat_visit=%d&version=2&is_inner_call=0"
)

Shape = Callable[[str, int], bytes]
"""A request of the wire: (path, number) → bytes; different numbers are different facts."""


def form_body(number: int) -> bytes:
    """A filled form; about 620 bytes."""
    return FORM % (number // 10000 % 1000, number // 100 % 100, number % 100, number, number, number, number)


def call_query(number: int) -> bytes:
    """A call that begins; about 440 bytes."""
    phone = number % 10_000_000
    return CALL % (number, phone, phone, number, number)


def tilda(path: str, number: int) -> bytes:
    """A form, posted by Tilda."""
    body = form_body(number)
    return (
        b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: TildaWebhook/1.0\r\nAccept: */*\r\n"
        b"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
        % (path.encode(), len(body), body)
    )


def sipuni(path: str, number: int) -> bytes:
    """An event of the PBX, fetched by Sipuni."""
    return b"GET %b?%b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Sipuni\r\nAccept: */*\r\n\r\n" % (
        path.encode(),
        call_query(number),
    )


SHAPES: dict[str, Shape] = {"tilda": tilda, "sipuni": sipuni}
