"""``leadfold sources``: who may send deliveries, and the addresses to give them."""

from __future__ import annotations

import base64
import difflib
import secrets
from typing import Annotated, Any

import typer

from leadfold.cli.common import (
    EXIT_CODES,
    Exit,
    Json,
    config,
    err,
    fail,
    out,
    print_json,
    print_line,
    run_async,
)
from leadfold.config_file import Config, WrongConfig
from leadfold.settings import Settings, Source
from leadfold.source_settings import source_urls

app = typer.Typer(
    help="Sources of deliveries: add, list with their addresses, check, remove.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="Small letters, digits, - and _; part of the address.")
]


def described(source: Source, settings: Settings) -> dict[str, Any]:
    """What scripts get about a source, secrets included: whoever reads leadfold.toml has them anyway."""
    urls = source_urls(source, settings)
    shown: dict[str, Any] = {
        "name": source.name,
        "provider": source.provider,
        "url": urls[0],
        "urls": list(urls),
        "secret": source.secret.get_secret_value(),
        "timezone": source.timezone or settings.company.timezone,
        "office": source.office,
        "channel": source.channel,
    }
    if source.provider == "native":
        shown["header"] = f"Authorization: Bearer {source.secret.get_secret_value()}"
        if source.signing_secret is not None:
            shown["signing_secret"] = source.signing_secret.get_secret_value()
    return shown


@app.command("add")
def add(
    name: Name,
    provider: Annotated[
        str,
        typer.Option(
            "--provider", help="sipuni, jivo, tilda, form (any site form), native (POST /v1/events) …"
        ),
    ],
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="Clock of times that come without a zone, e.g. Asia/Yekaterinburg."),
    ] = None,
    office: Annotated[
        str | None,
        typer.Option(
            "--office", help="Office of its inquiries: an id of [[offices]]; a new one is added there."
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option("--channel", help="Traffic source of its inquiries, if it is always the same."),
    ] = None,
    signed: Annotated[
        bool,
        typer.Option("--signed", help="native: also make a Standard Webhooks secret for signed requests."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a new source with a random secret into `leadfold.toml` and print its address.

    A running service accepts it a second or two later.

    Example: `leadfold sources add main --provider sipuni --timezone Europe/Moscow`
    """
    from leadfold.config_edit import add_source

    current = config()
    if current.settings.source(name):
        fail(f"there is a source {name!r} already; `leadfold sources list` prints its address", Exit.REFUSED)
    values: dict[str, Any] = {"name": name, "provider": provider, "secret": secrets.token_urlsafe(24)}
    values |= {
        k: v for k, v in (("timezone", timezone), ("office", office), ("channel", channel)) if v is not None
    }
    if signed:
        values["signing_secret"] = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    offices = [o.id for o in current.settings.offices]
    is_new = office is not None and not difflib.get_close_matches(
        office, offices, n=1
    )  # else a slip of the pen
    try:
        settings = add_source(current.file, values, office=office if is_new else None)
    except WrongConfig as error:
        for problem in error.problems:
            err.print(problem.reason, style="red", markup=False)
        raise typer.Exit(Exit.USAGE) from error
    except (OSError, ValueError) as error:
        fail(f"cannot change {current.file}: {error}")
    source = settings.source(name)
    assert source is not None
    shown = described(source, _as_running(settings))
    if as_json:
        print_json(shown)
        return
    for url in shown["urls"]:
        print_line(url)
    for extra in ("header", "signing_secret"):
        if extra in shown:
            print_line(shown[extra])
    if is_new:
        err.print(
            f"Added the office {office} too: its label and timezone are up to you, in {current.file}",
            markup=False,
        )
    err.print(
        f"[green]Added {name}[/] ({provider}). Give the address to the provider, then: leadfold sources check {name}"
    )


@app.command("list")
def list_(as_json: Json = False) -> None:
    """Every source with its ready address, secret included.

    Example: `leadfold sources list --json | jq -r '.[0].url'`
    """
    settings = _as_running(config().settings)
    rows = [described(s, settings) for s in settings.sources]
    if as_json:
        print_json(rows)
        return
    if not rows:
        err.print("No sources yet: leadfold sources add NAME --provider sipuni")
        return
    for row in rows:
        where = " · ".join(str(row[name]) for name in ("timezone", "office", "channel") if row[name])
        out.print(f"[bold]{row['name']}[/]  {row['provider']}  [dim]{where}[/]")
        for text in (*row["urls"], *(row[name] for name in ("header", "signing_secret") if name in row)):
            print_line(f"    {text}")
    err.print("Whoever knows an address or key may send deliveries: treat them as passwords.", style="dim")


@app.command("remove")
def remove(name: Name, as_json: Json = False) -> None:
    """Take a source out of `leadfold.toml`: its deliveries are refused from then on. What it sent before stays.

    Example: `leadfold sources remove old-form`
    """
    from leadfold.config_edit import remove_source

    current = config()
    try:
        remove_source(current.file, name)
    except KeyError:
        fail(f"there is no source {name!r}", Exit.USAGE)
    except WrongConfig as error:
        fail(f"other settings still need it: {error}", Exit.REFUSED)
    except OSError as error:
        fail(f"cannot change {current.file}: {error}")
    if as_json:
        print_json({"removed": name})
    else:
        err.print(f"[green]Removed {name}[/]")


@app.command("check")
def check(name: Name, as_json: Json = False) -> None:
    """Send what the provider sends when it tries an address, to the running service, and tell what happened.

    Nothing is counted: a trial makes no events. Exit code 3 when the service does not run.

    Example: `leadfold sources check main`
    """
    from leadfold.source_check import check_source

    current: Config = config()
    source = current.settings.source(name)
    if source is None:
        fail(f"there is no source {name!r}: leadfold sources list", Exit.USAGE)
    found = run_async(check_source(source, current.settings))
    if as_json:
        print_json(found)
    else:
        out.print(f"{found.request}", markup=False)
        out.print(found.told, style="green" if found.ok else "red", markup=False)
        if found.answer:
            out.print(f"answer: {found.answer}", markup=False, style="dim")
    if not found.ok:
        raise typer.Exit(Exit.NOT_YET if found.status is None else Exit.FAILED)


def _as_running(settings: Settings) -> Settings:
    """With the port that the running service really has, when the setting leaves it to the system."""
    from leadfold.announce import announced

    running = announced(settings, "ingest")
    if settings.ingest.port == 0 and running is not None:
        return settings.model_copy(
            update={"ingest": settings.ingest.model_copy(update={"port": running.port})}
        )
    return settings
