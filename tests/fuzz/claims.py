"""What must hold for any delivery of an authenticated source. Needs nothing but Leadfold itself."""

from collections import Counter
from dataclasses import replace

from domain.directory import Directory
from domain.event import Evidence
from domain.facts.company import DeliveryUnreadable
from domain.fold import fold_group
from eventlog.sealing import unseal
from ingest.adapters.registry import adapters
from ingest.delivery import Delivery
from ingest.translate import records_of, translate
from tests.ingest.support import KEY, SECRET


class Broken(AssertionError):
    """A claim does not hold."""


def claim(holds: bool, what: str) -> None:
    """Raise Broken with ``what`` unless it holds; also under ``python -O``."""
    if not holds:
        raise Broken(what)


def check(one: Delivery) -> None:
    """Every claim about one delivery. Raises Broken, or whatever the code raises and must not."""
    adapter = adapters()[one.source.provider]
    result = translate(one, adapter, KEY)
    claim("the adapter failed" not in (result.unreadable or ""), f"the adapter failed: {result.unreadable}")
    wanted = (200, 400, 413) if one.source.provider == "native" else (200,)
    claim(result.answer.status in wanted, f"answered {result.answer.status}")
    claim(SECRET.encode() not in result.answer.body, "the answer holds the secret")
    records, result = records_of(result, one, adapter, KEY)
    claim(result.probe != bool(records), "neither kept nor a probe")
    claim([unseal(r) for r in records] == result.events, "sealing changes events")
    claim(all(SECRET.encode() not in r.value for r in records), "a record holds the secret")
    if records:
        first = result.events[0].evidence
        claim(isinstance(first, Evidence), "the first record carries no evidence")
    again = translate(replace(one), adapter, KEY)
    claim([e.id for e in again.events] == [e.id for e in result.events], "told twice, two facts")
    facts = [e for e in result.events if not isinstance(e.data, DeliveryUnreadable)]
    for table, rows in fold_group(facts, Directory.build(())).items():
        claim(max(Counter(r[0] for r in rows).values(), default=1) == 1, f"two rows with one key in {table}")
