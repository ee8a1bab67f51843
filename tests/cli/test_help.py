"""Help texts teach: every command says what it does, with an example, and the exit codes are documented."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from leadfold.cli import app as assembled
from leadfold.cli import main


def commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*above, name))
        else:
            yield (*above, name), command


def everything() -> dict[str, Any]:
    assembled.register()
    return {" ".join(path): command for path, command in commands(typer.main.get_command(assembled.app))}


ALL = everything()

#: What scripts outside of the repository rely on.
PROMISED = (
    "init", "run", "ingest", "project", "report serve", "report inquiries", "status", "rebuild", "deadletters list",
    "deadletters show", "deadletters retry", "replay", "sources list", "sources add", "sources check", "sources remove", "wait",
    "sql", "log create", "log copy", "log tail", "log show", "log stats", "import employees", "import numbers",
    "import events", "openapi", "version",
)  # fmt: skip


def test_promised_commands_are_there() -> None:
    assert set(PROMISED) <= set(ALL)


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_teaches(name: str) -> None:
    text = ALL[name].help
    assert re.search(r"Examples?: `", text), name
    for option in ALL[name].params:
        if option.name != "help":
            assert getattr(option, "help", None), f"{name} {option.name}"


def test_flags_are_shown_without_a_value() -> None:
    for arguments in (["--help"], ["rebuild", "--help"]):
        told = subprocess.run(
            [sys.executable, "-m", "leadfold", *arguments], capture_output=True, text=True, check=True
        ).stdout
        assert "<bool>" not in told
        assert "FILE" in told  # options with a value still say so


SERVES = ("run", "ingest", "project", "report serve", "openapi", "demo")


@pytest.mark.parametrize("name", sorted(set(ALL) - set(SERVES)))
def test_every_other_command_prints_json_on_request(name: str) -> None:
    assert "--json" in {flag for option in ALL[name].params for flag in option.opts}


def test_examples_are_real_commands() -> None:
    for name, command in ALL.items():
        for example in re.findall(r"`(leadfold [^`]*)`", command.help):
            words = re.split(r"\s*(?:&&|\||>)\s*", example)
            for call in (w for w in words if w.startswith("leadfold")):
                parts = re.sub(r'"[^"]*"', "X", call).split()[1:]
                plain = [p for p in parts if not p.startswith("-")]
                found = next((n for n in (" ".join(plain[:2]), plain[0]) if n in ALL), None)
                assert found or plain[0] == "report", f"{name}: {call}"
                flags = {flag for option in ALL[found].params for flag in option.opts} if found else set()
                given = {p.partition("=")[0] for p in parts if p.startswith("-")}
                assert given <= flags | {"--config"}, f"{name}: {call}"


def test_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "Exit codes" in capsys.readouterr().out
    assert main(["nonsense"]) == 2
    assert main(["wait", "--nope"]) == 2
    assert main(["sources"]) == 2
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m leadfold openapi | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
    assert done.stderr == ""
