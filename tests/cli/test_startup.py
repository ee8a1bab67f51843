"""A command brings what it needs and no more: scripts call it often."""

import subprocess
import sys

HEAVY = (
    "psycopg",
    "aiohttp",
    "aiokafka",
    "uvloop",
    "domain.fold",
    "reports",
    "leadfold.settings",
)


def loaded(*arguments: str) -> list[str]:
    """Heavy modules that a command line leaves behind in its process."""
    code = (
        "import sys; from leadfold.cli import main; "
        f"assert main({list(arguments)!r}) == 0; print('|', *[m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.rpartition("|")[2].split()


def test_version_loads_nothing_heavy() -> None:
    assert loaded("version") == []


def test_a_group_finds_its_commands_alone() -> None:
    """Only the module of the named command is imported, and its help is whole nevertheless."""
    done = subprocess.run(
        [sys.executable, "-m", "leadfold", "log", "--help"], capture_output=True, text=True, check=True
    )
    for name in ("tail", "show", "stats", "copy", "create"):
        assert name in done.stdout
