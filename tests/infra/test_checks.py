"""The checks of `make lint` and CI find what they are for."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.checks import audit, licences, lock, nothing_skipped

LOCK = """\
typer==0.16.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:cc
"""


def test_lock_is_read_with_markers_and_hashes() -> None:
    packages = lock.read_lock(LOCK)
    assert [(name, str(entry[0]), *entry[1:]) for name, entry in packages.items()] == [
        ("typer", "0.16.0", True, 2),
        ("colorama", "0.4.6", False, 1),
    ]


def test_loose_pins_are_refused() -> None:
    with pytest.raises(ValueError, match="not pinned"):
        lock.read_lock("typer>=0.16")


def test_lock_that_does_not_fit_is_found() -> None:
    packages = lock.read_lock(LOCK)
    wanted = [Requirement("typer>=0.17"), Requirement("rich")]
    assert lock.unfit(wanted, packages, "L") == [
        "L: typer 0.16.0 does not fit >=0.17",
        "L: rich of pyproject.toml is missing",
    ]
    assert lock.unreached([Requirement("rich")], packages, "L") == ["L: nothing needs typer"]
    assert lock.not_installed(packages)[0].endswith("run make setup")


def test_missing_hashes_and_addresses_are_found() -> None:
    text = "--index-url https://packages.example/simple\n"
    assert lock.malformed(text + LOCK, lock.read_lock("rich==14.0.0"), "L") == [
        "L: rich has no hash",
        "L: names the address of a package index",
    ]


def test_versions_known_to_be_bad_are_found_in_every_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "requirements-other.lock").write_text("Rich==14.0.0\n")
    bad = """looked = 2026-11-22
[[bad]]
package = "Typer"
below = "0.16.1"
why = "CVE-1"
[[bad]]
package = "rich"
version = "14.0.0"
why = "yanked"
[[bad]]
package = "colorama"
below = "0.4.6"
why = "CVE-2"
"""
    assert audit.problems(tmp_path, bad) == [
        "requirements-other.lock: rich has no hash",
        "requirements-other.lock: rich 14.0.0: yanked",
        "requirements.lock: typer 0.16.0: CVE-1",
    ]
    with pytest.raises(ValueError, match="either below or version"):
        audit.known('looked = 2026-11-22\n[[bad]]\npackage = "x"\nwhy = "y"\n')


def test_the_tree_itself_is_in_order() -> None:
    assert lock.problems() == []
    assert audit.problems() == []
    assert licences.refused(licences.rows()) == []
    assert licences.stale(licences.rows(), licences.DOCUMENT.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only AND (Apache-2.0 OR MIT)", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_licence_expressions(expression: str, allowed: bool) -> None:
    assert licences.acceptable(expression) is allowed


def test_stale_licence_list_is_found() -> None:
    document = licences.render([licences.Row("left-pad", "MIT", shipped=True)])
    found = licences.stale([licences.Row("typer", "MIT", shipped=True)], document)
    assert found == [
        "docs/licences.md lacks: | typer | MIT |",
        "docs/licences.md lists left-pad, which is not locked",
    ]


def test_licence_of_nothing() -> None:
    with pytest.raises(PackageNotFoundError):
        licences.licence_of("no-such-package-anywhere")


def report(tmp_path: Path, *cases: str) -> Path:
    must = [f'<testcase classname="{module}" name="a"/>' for module in nothing_skipped.MUST_RUN]
    path = tmp_path / "junit.xml"
    path.write_text(f"<testsuites><testsuite>{''.join([*must, *cases])}</testsuite></testsuites>")
    return path


def test_skipped_test_fails_the_run(tmp_path: Path) -> None:
    assert nothing_skipped.problems(report(tmp_path)) == []
    skipped = '<testcase classname="tests.x" name="b"><skipped message="no kafka"/></testcase>'
    assert nothing_skipped.problems(report(tmp_path, skipped)) == ["skipped: tests.x::b"]


def test_run_without_kafka_tests_fails(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(
        '<testsuites><testsuite><testcase classname="tests.x" name="b"/></testsuite></testsuites>'
    )
    assert "did not run: tests.infra.test_kafka" in nothing_skipped.problems(path)
