"""Puts the commands together and turns what they raise into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import structlog
import typer

from leadfold import logs
from leadfold.cli import common
from leadfold.cli.common import EXIT_CODES, Exit, err

app = typer.Typer(
    name="leadfold",
    help="Webhooks in, immutable events on a log, one pure fold, Postgres read models, reports.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

#: Base of what the command line itself has to say; typer brings a click of its own, under a private name.
_CLICK_EXCEPTION: Any = typer.BadParameter.__mro__[2]


Config = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The settings file, before or after the command. Otherwise LEADFOLD_CONFIG, otherwise ./leadfold.toml.",
    ),
]


@app.callback()
def _options(
    config: Config = None,
) -> None:
    """Say which settings are meant; `build` has taken the option before typer sees it."""
    del config


def build(arguments: list[str]) -> int:
    """Run one command line."""
    try:
        rest = _take_config(arguments)
    except ValueError as error:
        err.print(str(error), style="red", markup=False)
        return Exit.USAGE
    logs.quiet()
    try:
        result = command().main(args=rest, prog_name="leadfold", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        err.print("stopped", style="yellow")
        return 130
    except BrokenPipeError:
        return _nobody_reads()
    except Exception as error:  # noqa: BLE001 - the last stop: known errors become a line, others keep their trace
        if isinstance(error, _CLICK_EXCEPTION):
            error.show()
            return Exit.USAGE
        return _told(error)
    return result if isinstance(result, int) else Exit.OK


def _take_config(arguments: list[str]) -> list[str]:
    """The arguments without ``--config FILE``, wherever it stood before ``--``."""
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        if argument == "--":
            return [*rest, argument, *queue]
        if argument == "--config":
            if not queue:
                raise ValueError("--config needs a file")
            common.use_config(queue.pop(0))
        elif argument.startswith("--config="):
            common.use_config(argument.partition("=")[2])
        else:
            rest.append(argument)
    return rest


def _nobody_reads() -> int:
    """Whoever read our output has gone (``| head``): end quietly, also when Python flushes at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def _told(error: Exception) -> int:
    import psycopg

    from eventlog.contract import LogError, LogRefused, LogUnavailable
    from leadfold.embedded_postgres import PostgresFailed
    from leadfold.lock import AlreadyRunning
    from projector.errors import DatabaseRefused, ProjectorError

    match error:
        case LogRefused() | AlreadyRunning() | DatabaseRefused():
            code = Exit.REFUSED
        case (
            LogUnavailable()
            | LogError()
            | PostgresFailed()
            | ProjectorError()
            | psycopg.OperationalError()
            | OSError()
        ):
            code = Exit.FAILED
        case _:
            structlog.get_logger(__name__).exception("cli.failed")
            code = Exit.FAILED
    err.print(f"{error}", style="red", markup=False)
    return code


def command() -> Any:
    """The command line as a whole; ``--config`` stands in the help of every command."""
    register()
    whole = typer.main.get_command(app)
    _show_config(whole)
    return whole


def _show_config(group: Any) -> None:
    for each in group.commands.values():
        each.params.append(_config_option())
        if hasattr(each, "commands"):
            _show_config(each)


def _config_option() -> Any:
    """The option ``--config`` for a help text, made by typer for a command that is nobody's."""
    nobody = typer.Typer(add_completion=False)

    @nobody.command()
    def _(config: Config = None) -> None:
        del config

    option = typer.main.get_command(nobody).params[0]
    option.expose_value = False
    return option


def register() -> None:
    """Import and add the commands, once."""
    if app.registered_commands:
        return
    from leadfold.cli import (
        deadletters,
        demo,
        importing,
        init,
        log,
        parts,
        published,
        rebuild,
        replay,
        report,
        run,
        sources,
        sql,
        status,
        wait,
    )

    for module in (init, run, parts, status, wait, sql, rebuild, replay, published, demo):
        module.register(app)
    for name, module in (
        ("sources", sources),
        ("report", report),
        ("log", log),
        ("deadletters", deadletters),
        ("import", importing),
    ):
        app.add_typer(module.app, name=name)
