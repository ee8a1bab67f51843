"""Puts the commands together and turns what they raise into messages and exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any, Final

import structlog
import typer
from typer.core import TyperOption

from leadfold import logs
from leadfold.cli import common
from leadfold.cli.common import EXIT_CODES, Exit, err

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


def _options(
    config: Config = None,
) -> None:
    """Say which settings are meant; `build` has taken the option before typer sees it."""
    del config


def _new_app() -> typer.Typer:
    made = typer.Typer(
        name="leadfold",
        help="Webhooks of telephony, chats, forms and CRM in; reports on inquiries, bookings, arrivals and sales out.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    made.callback()(_options)
    return made


def _flags_take_no_value() -> None:
    """Typer's help writes the type ``<bool>`` beside a flag, as if one had to be given."""
    shown = TyperOption.display_type_rich

    def told(self: TyperOption, ctx: Any) -> str | None:
        return None if self.is_flag else shown(self, ctx)

    TyperOption.display_type_rich = told  # type: ignore[method-assign]


_flags_take_no_value()

#: All commands, once `register` was called.
app = _new_app()


def build(arguments: list[str]) -> int:
    """Run one command line."""
    try:
        rest = _take_config(arguments)
    except ValueError as error:
        err.print(str(error), style="red", markup=False)
        return Exit.USAGE
    logs.quiet()
    try:
        result = command(rest[0] if rest else None).main(
            args=rest, prog_name="leadfold", standalone_mode=False
        )
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


def command(name: str | None = None) -> Any:
    """The command line as a whole; ``--config`` stands in the help of every command.

    With the ``name`` of a command only its module is imported: each brings what it needs and nothing else.
    """
    if name in _COMMANDS:
        some = _new_app()
        _add(some, _COMMANDS[name])
        whole = typer.main.get_command(some)
    else:
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


#: Commands and groups of commands, in the order of the help, and their modules in `leadfold.cli`.
_COMMANDS: Final = {
    "init": "init",
    "run": "run",
    "ingest": "parts",
    "project": "parts",
    "status": "status",
    "wait": "wait",
    "sql": "sql",
    "rebuild": "rebuild",
    "replay": "replay",
    "openapi": "published",
    "version": "published",
    "demo": "demo",
    "sources": "sources",
    "report": "report",
    "log": "log",
    "deadletters": "deadletters",
    "import": "importing",
}


def register() -> None:
    """Import and add all commands, once."""
    if not app.registered_commands:
        for module in dict.fromkeys(_COMMANDS.values()):
            _add(app, module)


def _add(to: typer.Typer, name: str) -> None:
    module = import_module(f"leadfold.cli.{name}")
    if hasattr(module, "register"):
        module.register(to)
        return
    group = next(word for word, where in _COMMANDS.items() if where == name)
    to.add_typer(module.app, name=group)
