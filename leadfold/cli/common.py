"""What all commands share: the configuration, printing, exit codes, and how errors end a command."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from domain.printable import printable

if TYPE_CHECKING:
    from leadfold.config_file import Config

T = TypeVar("T")


class Exit(IntEnum):
    """Exit codes, the same for every command."""

    OK = 0
    FAILED = 1
    """It was tried and did not work."""
    USAGE = 2
    """Wrong arguments or configuration: the same call will never work."""
    NOT_YET = 3
    """Not ready in time, or not running: try again later."""
    REFUSED = 4
    """Possible but not allowed now: already running, would overwrite, a check said no."""


EXIT_CODES = (
    "Exit codes: 0 done · 1 failed · 2 wrong arguments or configuration · 3 not yet (time-out, not running) · "
    "4 refused (already running, would overwrite …)"
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts instead of a table.")]

#: Results go to stdout; everything for people beside them (progress, notes, errors) to stderr.
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

#: Set by `leadfold.cli.main` from ``--config`` anywhere on the command line.
_given: list[str] = []


def use_config(path: str) -> None:
    """Remember the file given by ``--config``; processes that we start inherit it."""
    _given[:] = [path]
    os.environ["LEADFOLD_CONFIG"] = str(Path(path).expanduser().absolute())


def config(*, doubts: bool = True) -> Config:
    """The configuration; with problems it prints all of them and ends with exit code 2. ``doubts``: say slips too."""
    from leadfold.config_file import WrongConfig, load

    try:
        found = load(_given[0] if _given else None)
        for doubt in found.doubts if doubts else ():
            err.print(str(doubt), style="yellow", markup=False)
        return found
    except WrongConfig as error:
        err.print(f"[bold red]Wrong configuration[/], {len(error.problems)} problem(s):", style="red")
        for problem in error.problems:
            err.print(str(problem), markup=False)
        raise typer.Exit(Exit.USAGE) from error


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """End the command: the message to stderr, the code to the shell."""
    err.print(printable(message, keep="\n"), style="red", markup=False)
    raise typer.Exit(code)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: moments ISO-8601 in UTC, Decimal as text, dataclasses as objects."""
    match value:
        case datetime():
            return (
                value.astimezone(UTC).isoformat().replace("+00:00", "Z")
                if value.tzinfo
                else value.isoformat()
            )
        case date():
            return value.isoformat()
        case Decimal() | UUID() | Path():
            return str(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case Mapping():
            return {str(k): plain(v) for k, v in value.items()}
        case set() | frozenset():
            return [plain(v) for v in sorted(value, key=str)]
        case list() | tuple():
            return [plain(v) for v in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return plain(asdict(value))
    return value


def print_json(value: Any) -> None:
    """One JSON document on stdout, indented when a person looks."""
    sys.stdout.write(json_text(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def print_pretty(value: Any) -> None:
    """One JSON document for people, with colours."""
    out.print(JSONHighlighter()(Text(json_text(value, indent=2))), soft_wrap=True)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON that is safe to look at: letters as they are, what would act on a terminal escaped."""
    return printable(json.dumps(plain(value), ensure_ascii=False, indent=indent), keep="\n")


def print_line(text: str) -> None:
    """One plain line on stdout, never wrapped or coloured."""
    sys.stdout.write(printable(text) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table on stdout; None is shown as —.

    In a pipe or file every row stays on one line. A terminal too narrow for many columns gets each row as a list.
    """
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    cells = [["—" if cell is None else _shown(cell) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*map(escape, row))
    endless = out.options.update(width=_ENDLESS, max_width=_ENDLESS)
    wide = max(1, Measurement.get(out, endless, table).maximum)
    if not out.is_terminal:
        Console(file=out.file, width=wide, soft_wrap=False).print(table)
    elif wide > out.width and len(columns) > out.width // _READABLE:
        for number, row in enumerate(cells, 1):
            out.print(f"[bold]{number}[/]")
            for name, cell in zip(columns, row, strict=True):
                out.print(f"  [dim]{escape(name):<24}[/] {escape(cell)}")
    else:
        out.print(table)


#: Width of a table that nothing limits, characters.
_ENDLESS: Final = 100_000
#: A column narrower than this can't be read.
_READABLE: Final = 14


def _shown(cell: Any) -> str:
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    value = plain(cell)
    return json_text(value) if isinstance(value, dict | list) else printable(str(value))


def progress() -> Progress:
    """A progress bar on stderr; silent when nobody looks."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Ctrl-C cancels it."""
    return asyncio.run(work)


def moment(text: str | None, zone: str) -> datetime | None:
    """A moment given by a person, local time of ``zone`` unless it carries an offset; UTC.

    Raises typer.BadParameter when it is none.
    """
    from zoneinfo import ZoneInfo

    if not text:
        return None
    if text == "now":
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no moment: write 2026-03-31, 2026-03-31T18:00 or with +03:00"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def day(text: str) -> date:
    """A day given as 2026-03-31. Raises typer.BadParameter."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no day: write it like 2026-03-31") from error
