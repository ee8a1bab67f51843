"""``leadfold ingest`` and ``leadfold project``: the parts of `leadfold run` as processes of their own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Annotated

import typer

from leadfold.cli.common import config
from leadfold.cli.listening import served

if TYPE_CHECKING:
    from leadfold.config_file import Config


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("ingest")(ingest)
    app.command("project")(project)


def prepare(part: str) -> Config:
    """Configuration and logs of a part."""
    from leadfold import logs
    from leadfold.supervisor import PARENT_PIPE, follow_parent

    alone = PARENT_PIPE not in os.environ  # else `leadfold run` has said it
    follow_parent()
    current = config(doubts=alone)
    logs.setup(part, current.settings.logging.level)
    return current


def ingest(
    number: Annotated[
        int, typer.Option("--number", min=0, hidden=True, help="Only the front door of this number.")
    ] = 0,
) -> None:
    """Take webhooks in: authenticate, translate, make durable, answer. `/healthz` and `/readyz` beside them, for everybody.

    `/metrics` and what `/readyz` knows in detail are on `[ingest] ops_host` and `ops_port`, not for the world. With
    `[ingest] processes` above 1 it starts so many front doors on the one address, restarts one that dies, and ends all of
    them on Ctrl-C or SIGTERM.

    Needs the event log only (with `[log] engine = "kafka"`, Kafka); while the log is away deliveries wait in the spool
    under `data_dir/spool`, so keep that folder. Also publishes the directory of `leadfold.toml` and follows its changes.

    Example: `leadfold ingest --config /etc/leadfold/leadfold.toml`
    """
    from leadfold.doors import numbered
    from leadfold.services import base
    from leadfold.services.ingest import ingest as serve

    current = prepare(numbered("ingest", number or 1))
    address = current.settings.ingest
    if address.processes > 1 and not number:
        raise typer.Exit(asyncio.run(_several(current)))
    served(lambda: base.run(serve(current, number or 1)), "ingest", address.host, address.port)


async def _several(current: Config) -> int:
    """The front doors, each a process of its own."""
    from leadfold.cli.together import address_held, together
    from leadfold.services.base import stop_on_signals

    stop = stop_on_signals()
    with address_held(current.settings) as port:
        return await together(current, port, (), stop, None, lambda _found, _well: None, logs=None)


def project() -> None:
    """Fold events into the read models. Start as many as you like on Kafka: they share the partitions.

    Health and metrics are on `[projector] host` and `port`. When too many events cannot be folded, or the log is another one, it waits for a person and says so there.

    Example: `leadfold project --config /etc/leadfold/leadfold.toml`
    """
    from leadfold.services import base
    from leadfold.services.project import project as serve

    current = prepare("project")
    address = current.settings.projector
    served(lambda: base.run(serve(current)), "projector", address.host, address.port)
