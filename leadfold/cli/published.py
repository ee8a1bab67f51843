"""``leadfold openapi`` and ``leadfold version``."""

from __future__ import annotations

from typing import Annotated

import typer

from leadfold.cli.common import Json, print_json, print_line


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("openapi")(openapi)
    app.command("version")(version)


def openapi(
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="The event log as AsyncAPI 3.0 instead.")
    ] = False,
) -> None:
    """Print the HTTP interfaces as an OpenAPI document in JSON.

    Example: `leadfold openapi > openapi.json`
    """
    from leadfold.schemas import asyncapi as topic
    from leadfold.schemas import openapi as http

    print_json(topic.build() if asyncapi else http.build())


def version(as_json: Json = False) -> None:
    """Versions of Leadfold, of its fold, of Python and of Postgres.

    Example: `leadfold version --json`
    """
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    from domain.fold_version import FOLD_VERSION

    try:
        own = installed("leadfold")
    except PackageNotFoundError:
        own = "unknown"
    found = {"leadfold": own, "fold": str(FOLD_VERSION), "python": platform.python_version()}
    if as_json:
        print_json(found)
    else:
        for name, text in found.items():
            print_line(f"{name} {text}")
