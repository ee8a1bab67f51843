# mypy: ignore-errors
"""`eventsourcing`'s part of the bench; runs in the peers' environment: FACTS URL. Prints events a second.

The facts (JSON lines: client, type, amount) become events of one aggregate per client in its own Postgres store; what is
timed is its projection of them into a table of counters, tracked in the same transaction, event by event, as it does.
"""

import json
import os
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_URL, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner

MOST = 3000

parts = urlsplit(sys.argv[2])
os.environ.update(
    PERSISTENCE_MODULE="eventsourcing.postgres",
    POSTGRES_DBNAME=parts.path.lstrip("/"),
    POSTGRES_HOST=parse_qs(parts.query).get("host", [parts.hostname or ""])[0],
    POSTGRES_PORT=str(parts.port or 5432),
    POSTGRES_USER=parts.username or "postgres",
    POSTGRES_PASSWORD=parts.password or "none",
)


class Client(Aggregate):
    """All that was said of one client."""

    @event("Came")
    def __init__(self, client):
        self.client = client

    @event("Said")
    def say(self, type_, amount):
        """One fact."""

    @classmethod
    def create_id(cls, client):
        """One aggregate per client."""
        return uuid5(NAMESPACE_URL, client)


class Clients(Application):
    """The store of events."""


class Counters(PostgresTrackingRecorder):
    """The read model: a row per client."""

    def create_table(self):
        """As an application of it would do it."""
        super().create_table()
        with self.datastore.transaction(commit=True) as cursor:
            cursor.execute(
                "create table if not exists counters (client uuid primary key, facts bigint, amount numeric)"
            )

    def count(self, client, amount, tracking):
        """One event: the row and the position in one transaction."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "insert into counters values (%s, 1, %s) on conflict (client) do update"
                " set facts = counters.facts + 1, amount = counters.amount + excluded.amount",
                (client, amount),
            )


class Counting(Projection):
    """Events into counters."""

    name = "counters"

    def process_event(self, domain_event, tracking):
        """Called for each event in order."""
        self.view.count(domain_event.originator_id, getattr(domain_event, "amount", 0), tracking)


def main():
    """Store, project, print."""
    app = Clients()
    known = {}
    count = 0
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        for line in lines:
            client, type_, amount = json.loads(line)
            one = known.get(client)
            if one is None:
                one = known[client] = Client(client)
                count += 1
            one.say(type_, amount)
            count += 1
            if count >= MOST:
                break
    last = 0
    for one in known.values():
        last = app.save(one)[-1].notification.id
    began = time.perf_counter()
    with ProjectionRunner(
        application_class=Clients, projection_class=Counting, view_class=Counters
    ) as runner:
        runner.wait(last, timeout=240)
    print(count / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
