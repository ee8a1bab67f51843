"""``leadfold init``: a settings file with explanations and random secrets."""

from __future__ import annotations

import secrets
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from leadfold.cli.common import Exit, Json, err, fail, print_json
from leadfold.files import write_private


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the installation; made when missing.")
    ] = Path(),
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Replace an existing leadfold.toml. Its secrets are lost: events that come "
            "later land in other partitions, and sources get new addresses.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a commented `leadfold.toml` with random secrets; it runs as it is.

    Example: `leadfold init shop && cd shop && leadfold sources add main --provider sipuni && leadfold run`
    """
    from leadfold.config_file import FILE_NAME

    path = folder.expanduser() / FILE_NAME
    if path.exists() and not force:
        fail(f"{path} is there already; --force replaces it (and its secrets)", Exit.REFUSED)
    folder.expanduser().mkdir(parents=True, exist_ok=True)
    template = (files("leadfold") / "leadfold.template.toml").read_text(encoding="utf-8")
    write_private(path, template.replace("@KEY_SECRET@", secrets.token_urlsafe(48)))
    if as_json:
        print_json({"config": str(path.absolute())})
        return
    err.print(f"[green]Wrote {path}[/]. Next:")
    place = "" if folder == Path() else f"--config {path} "
    err.print(f"  leadfold {place}sources add main --provider sipuni   # prints the address for the provider")
    err.print(f"  leadfold {place}run", markup=False)
