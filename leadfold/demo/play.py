"""The demo from beginning to end: a fresh installation, half a year in about a minute, the report, then live traffic."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import Console

from leadfold.announce import Part
from leadfold.demo.company import COMPANY_ZONE
from leadfold.demo.habits import with_habits
from leadfold.demo.installation import targets, write
from leadfold.demo.live import trickle
from leadfold.demo.poster import Answer, Poster, Target
from leadfold.demo.sent import Sent
from leadfold.demo.server import Server, ServerFailed
from leadfold.demo.show import Show
from leadfold.demo.world import DAYS, History, generate, handover_day
from leadfold.lock import AlreadyRunning, FolderLock

MARK: Final = ".leadfold-demo"
"""A folder with this file was made by the demo and may be replaced by the next one."""

_LOCK: Final = ".demo.lock"
_CONNECTIONS: Final = 48
_VISIBLE_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play.

    ``until`` (UTC) is the end of the history; ``fixed``: it was asked for, so the report is as of then. ``once``: end
    after the report. ``keep``: leave the folder there.
    """

    folder: Path
    until: datetime
    fixed: bool = False
    once: bool = False
    keep: bool = True
    seed: int = 1
    scale: float = 1.0
    days: int = DAYS


class NotOurs(Exception):
    """The folder holds something that the demo did not make, or somebody uses it."""


async def play(plan: Plan, err: Console, stop: asyncio.Event) -> None:
    """Play the demo; returns when it is over (``once``) or ``stop`` is set. Nothing is left running.

    Raises:
        NotOurs: the folder cannot be used.
        ServerFailed: it did not work.
    """
    started = time.monotonic()
    with claimed(plan.folder):
        try:
            config = write(plan.folder, handover_day(plan.until, plan.days))
            async with Server(config) as server:
                show = Show(err)
                work = _show_and_serve(plan, server, show, stop, started)
                await _unless_stopped(work, stop)
        finally:
            if not plan.keep:
                shutil.rmtree(plan.folder, ignore_errors=True)


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder empty and ours; while inside, no other demo gets it.

    Raises:
        NotOurs: something else lies in it, a demo runs there, or its data is served by `leadfold run`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the lock stays in its folder, so it is a mark too: of one that is being emptied at the moment
    if any(folder.iterdir()) and not any((folder / mark).exists() for mark in (MARK, _LOCK)):
        raise NotOurs(f"{folder} is not empty and was not made by the demo: give another --dir")
    try:
        lock = FolderLock(folder, _LOCK).__enter__()
    except AlreadyRunning as error:
        raise NotOurs(
            f"a demo runs in {folder} already{_who(error)}: end it first, or give another --dir"
        ) from error
    try:
        _empty(folder)
        yield
    finally:
        lock.__exit__(None, None, None)


def _who(error: AlreadyRunning) -> str:
    return f" (process {error.pid})" if error.pid else ""


def _empty(folder: Path) -> None:
    """Remove all but our lock, and mark the folder as ours. Raises NotOurs."""
    try:
        with FolderLock(folder / "data") if (folder / "data").exists() else contextlib.nullcontext():
            for each in folder.iterdir():
                if each.is_dir() and not each.is_symlink():
                    shutil.rmtree(each)
                elif each.name != _LOCK:
                    each.unlink()
    except AlreadyRunning as error:
        raise NotOurs(
            f"the data of the last demo in {folder} is in use{_who(error)}: end `leadfold run` there first, or give"
            " another --dir"
        ) from error
    (folder / MARK).write_text(
        "Made by `leadfold demo`, which empties this folder when it starts again.\n", encoding="utf-8"
    )


def last_full_month(until: datetime) -> tuple[date, date]:
    """First and last day of the last month that was over at a moment, by the company's clock."""
    last = until.astimezone(ZoneInfo(COMPANY_ZONE)).date().replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        stopped.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _show_and_serve(
    plan: Plan, server: Server, show: Show, stop: asyncio.Event, started: float
) -> None:
    history = await asyncio.to_thread(generate, plan.seed, plan.until, days=plan.days, scale=plan.scale)
    said = await asyncio.to_thread(with_habits, history.past(), plan.seed, until=plan.until)
    ingest = await server.ready("ingest")
    show.line(
        f"Leadfold runs in {plan.folder}: {plan.days} days of an auto service are posted to {ingest.url}"
    )
    addresses = targets(server.settings, ingest.url)
    posted_s = await post_history(said, addresses, show)
    await _visible(server, show)
    pages = await server.ready("report")
    took = time.monotonic() - started
    show.line(
        f"{len(said)} webhooks ({len(said) / posted_s:.0f}/s) about {len(history.truths)} inquiries are in the reports, "
        f"{took:.0f} s after the start"
    )
    first, last = last_full_month(plan.until)
    await _report(plan, server, first, last)
    if plan.once:
        show.line("With --once it ends here, that page too; without, the pages stay.")
        return
    _addresses(plan, server, pages, first, last, show)
    await _live(history, addresses, show, stop)


async def post_history(said: list[Sent], addresses: dict[str, Target], show: Show) -> float:
    """Post deliveries with their own dates; returns the seconds it took.

    Raises:
        ServerFailed: some were not accepted.
    """
    began = time.monotonic()
    refused: Counter[int] = Counter()
    with show.progress("webhooks", len(said)) as advance:

        def answered(answer: Answer) -> None:
            advance(1)
            if not answer.accepted:
                refused[answer.status] += 1

        async with Poster(addresses, connections=_CONNECTIONS, dated=True) as poster:
            await poster.post_all(said, answered)
    if refused:
        raise ServerFailed(f"deliveries were not accepted (status: how many): {dict(refused)}")
    return time.monotonic() - began


async def _visible(server: Server, show: Show) -> None:
    from leadfold.cli.wait import waited

    with show.waiting("folding the last of them"):
        found = await waited(server.settings, _VISIBLE_S)
    server.check()
    if not found.visible:
        raise ServerFailed(f"the read models are not up to date after {_VISIBLE_S:g} s: {found.missing}")


async def _report(plan: Plan, server: Server, first: date, last: date) -> None:
    """The report, by the command that anybody would use."""
    arguments = ["report", "inquiries", "--from", str(first), "--to", str(last)]
    if plan.fixed:
        arguments += ["--as-of", plan.until.isoformat()]
    sys.stdout.flush()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "leadfold",
        *arguments,
        env={**os.environ, "LEADFOLD_CONFIG": str(server.config_file)},
    )
    try:
        if await process.wait():
            raise ServerFailed("the report could not be made: see above")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _addresses(plan: Plan, server: Server, pages: Part, first: date, last: date, show: Show) -> None:
    show.line("")
    site = server.settings.reports.public_url.rstrip("/") or pages.url
    show.line(f"Pages: {site}/reports/inquiries?from={first}&to={last}", style="bold green")
    program = f"{_program()} --config {shlex.quote(str(server.config_file))}"
    show.line(f"Ask it yourself: {program} status")
    if plan.keep:
        show.line(
            f"Its data stays until the next demo; afterwards the pages are there again with: {program} run"
        )


def _program() -> str:
    """What to type to call this program, also where it is not on PATH."""
    if shutil.which("leadfold"):
        return "leadfold"
    called = sys.argv[0]
    return (
        shlex.quote(called)
        if Path(called).name == "leadfold"
        else f"{shlex.quote(sys.executable)} -m leadfold"
    )


async def _live(history: History, addresses: dict[str, Target], show: Show, stop: asyncio.Event) -> None:
    with show.waiting("live traffic goes on: Ctrl-C ends the demo") as update:
        async with Poster(addresses, connections=4, give_up_s=30) as poster:
            await trickle(
                history,
                poster,
                stop,
                lambda n: update(f"live traffic, {n} webhooks so far: Ctrl-C ends the demo"),
            )
