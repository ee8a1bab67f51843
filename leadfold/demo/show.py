"""What the demo shows while it works: bars for people, now and then a line for a log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_LINE_S = 5.0


class Show:
    """Prints on one console. Bars only on a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def line(self, text: str, style: str | None = None) -> None:
        """One line, as it is."""
        self._console.print(text, style=style, markup=False)

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show how far some work is; call what it gives with the number of things done."""
        if not self._console.is_terminal:
            yield self._lines(what, total)
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True, refresh_per_second=5) as bar:
            task = bar.add_task(what, total=total)
            yield lambda n: bar.advance(task, n)

    def _lines(self, what: str, total: int) -> Callable[[int], None]:
        done, told = 0, time.monotonic()

        def advance(n: int) -> None:
            nonlocal done, told
            done += n
            if time.monotonic() - told > _LINE_S:
                told = time.monotonic()
                self.line(f"{what}: {done} of {total}")

        return advance

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that something goes on; call what it gives with another text."""
        if not self._console.is_terminal:
            self.line(what)
            yield lambda _text: None
            return
        with self._console.status(what) as status:
            yield status.update
