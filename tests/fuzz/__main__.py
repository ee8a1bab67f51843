"""``python -m tests.fuzz --minutes N``: half of the time by coverage, half against a running service."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz import service

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "fuzz"
TOOLS = ROOT / "build" / "fuzz-venv" / "bin"


def by_coverage(seconds: int) -> int:
    """atheris over decoders, adapters, sealing and fold; its corpus is kept in build/fuzz for the next time."""
    findings = WORK / "findings"
    findings.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [
            str(TOOLS / "python"), "-m", "tests.fuzz.target", str(WORK / "corpus"), f"-max_total_time={seconds}",
            f"-artifact_prefix={findings}/", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048",
            "-print_final_stats=1", "-verbosity=1",
        ],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    ).returncode  # fmt: skip


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=4, help="for all of it")
    parser.add_argument("--only", choices=("coverage", "service"), help="one of the two")
    given = parser.parse_args()
    share = 1 if given.only else 2
    seconds = max(5, int(given.minutes * 60 / share))
    found = []
    if given.only != "service" and by_coverage(seconds):
        found.append("coverage: see above, the input is in build/fuzz/findings")
    if given.only != "coverage":
        with tempfile.TemporaryDirectory(prefix="leadfold-fuzz-") as folder:
            found += service.fuzz(Path(folder), TOOLS / "schemathesis", seconds)
    for line in found:
        print(f"FOUND {line}", file=sys.stderr)
    print("nothing was found" if not found else f"{len(found)} finding(s)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
