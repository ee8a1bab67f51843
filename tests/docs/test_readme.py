"""README is true: its five minutes by hand, run as they stand, give the figures that it promises."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("## Five minutes by hand")[2].partition("\n## ")[0]
PREPARE, RUN, *STEPS = re.findall(r"^```sh\n(.*?)^```", CHAPTER, re.DOTALL | re.MULTILINE)
#: The environment is the tests' own; everything else of the first block is done as it says.
PREPARE = "".join(
    f"{line}\n" for line in PREPARE.splitlines() if not line.startswith(("make setup", "export PATH"))
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LEADFOLD_")}
    ports = {f"LEADFOLD_{part}__PORT": "0" for part in ("INGEST", "REPORTS", "PROJECTOR")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    return {
        **clean,
        **ports,
        "PATH": path,
        "PWD": str(tmp_path),
        "LEADFOLD_CONFIG": str(tmp_path / "shop/leadfold.toml"),
    }


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    output = folder / "run.out"
    with output.open("wb") as file:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {RUN.strip()}"],
            cwd=folder,
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 90
        while "pages" not in output.read_text(encoding="utf-8"):
            assert process.poll() is None, output.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, output.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.mark.slow
def test_five_minutes_by_hand(tmp_path: Path, environment: dict[str, str]) -> None:
    subprocess.run(["bash", "-ec", PREPARE], cwd=tmp_path, env=environment, check=True, timeout=60)
    with running(tmp_path, environment):
        done = subprocess.run(
            ["bash", "-ec", "\n".join(STEPS)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count('{"success":true}') >= 4
    assert '"accepted":4,"duplicates":0,"unreadable":0' in done.stdout
    total = next(line for line in done.stdout.splitlines() if line.strip().startswith("Итого"))
    assert re.sub(r"[\u00a0\u202f]", " ", total).split()[1:6] == ["1", "1", "1", "0", "0"]
    assert "5 200,00" in re.sub(r"[\u00a0\u202f]", " ", total)
    assert "7 000,00" in re.sub(r"[\u00a0\u202f]", " ", total)
    assert "sale.recorded" in done.stdout
    assert (tmp_path / "march.xlsx").stat().st_size > 5000
