"""The pages' API answers what schemas/openapi.json says, neither more nor less."""

import copy
from typing import Any

import pytest
from aiohttp import ClientSession
from jsonschema import Draft202012Validator

from leadfold.schemas import openapi
from tests.browser.conftest import Site

DOCUMENT = openapi.build()
NOBODY = "00000000-0000-4000-8000-000000000000"


def closed(schema: Any) -> Any:
    """The same schema without room for what it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    narrow = {name: closed(item) for name, item in schema.items()}
    if "properties" in narrow:
        narrow.setdefault("additionalProperties", False)
    return narrow


def validator(path: str, status: int) -> Draft202012Validator:
    answer = DOCUMENT["paths"][path]["get"]["responses"][str(status)]
    schemas = closed(copy.deepcopy(DOCUMENT["components"]["schemas"]))
    schema = {**answer["content"]["application/json"]["schema"], "components": {"schemas": schemas}}
    return Draft202012Validator(schema)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/v1/reports/inquiries", "", 200),
        ("/api/v1/reports/inquiries", "group=employee&counted=client&lang=en", 200),
        ("/api/v1/reports/inquiries", "group=nonsense&who=me", 400),
        ("/api/v1/reports/inquiries/rows", "metric=arrived&at=direction:in&at=kind:phone", 200),
        ("/api/v1/reports/inquiries/rows", "notice=uncategorised&limit=1", 200),
        ("/api/v1/reports/inquiries/rows", "metric=nonsense", 400),
        ("/api/v1/inquiries/{id}", "", 404),
        ("/api/v1/events/{id}", "", 404),
    ],
)
async def test_answers_are_as_published(site: Site, path: str, query: str, status: int) -> None:
    address = f"{site.base}{path.format(id=NOBODY)}?{query}"
    async with ClientSession() as session, session.get(address) as answer:
        assert answer.status == status
        validator(path, status).validate(await answer.json())
