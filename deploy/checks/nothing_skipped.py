"""Fails when any test of a JUnit report was skipped, or when the Kafka and browser tests are not in it.

python -m deploy.checks.nothing_skipped build/test-results/junit.xml
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

#: Tests that prove by their presence that a real broker and a real browser were there.
MUST_RUN = ("tests.infra.test_kafka", "tests.infra.test_browser", "tests.infra.test_postgres")


def problems(report: Path) -> list[str]:
    """What is wrong with the run, one line each; empty when every test ran and passed."""
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it a moment ago
    found = [
        f"{kind}: {case.get('classname')}::{case.get('name')}"
        for case in cases
        for kind in ("skipped", "failure", "error")
        if case.find(kind) is not None
    ]
    modules = {case.get("classname", "") for case in cases}
    found += [f"did not run: {module}" for module in MUST_RUN if module not in modules]
    return found


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    found = problems(Path(sys.argv[1]))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
