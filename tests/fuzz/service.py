"""schemathesis against a really running ``leadfold run``, and a look behind it afterwards."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from tests.cli.service import Installation, install

_ROOT = Path(__file__).resolve().parents[2]
#: Whatever a sender gets wrong is kept and told in the answer: it is no error of HTTP, so these do not apply.
_NOT_OURS = "negative_data_rejection,positive_data_acceptance,missing_required_header"
_PHONES = ("89990000001", "+79990000001")


def fuzz(folder: Path, tool: Path, seconds: int) -> list[str]:
    """What was found: at the native contract, at the pages' API, in the logs, in the projection."""
    installed = install(folder, ("crm", "native"), ("form", "form"))
    with installed.running():
        sources = {s["name"]: s for s in installed.json("sources", "list")}
        _post(sources["form"]["url"], b"phone=89990000001&name=Ivan")
        doors = sources["crm"]["url"].removesuffix("/v1/events")
        key = sources["crm"]["secret"]
        pages = installed.json("status")["parts"]["report"]["url"]
        found = _run(tool, f"{doors}/openapi.json", doors, seconds // 2, "-H", f"Authorization: Bearer {key}")
        found += _run(
            tool,
            str(_ROOT / "schemas" / "openapi.json"),
            pages,
            seconds // 2,
            "--include-path-regex",
            "^/(api|reports)/",
        )
        return found + behind(installed, [s["secret"] for s in sources.values()])


def behind(installed: Installation, secrets: list[str]) -> list[str]:
    """What the service itself says after it all."""
    found = []
    installed.call("wait", "--timeout", "120", timeout=150)
    status: Any = json.loads(installed.call("status", "--json").stdout)
    if not status["ready"]:
        found.append(f"it is not ready any more: {status['parts']}")
    if (status["projection"] or {}).get("dead_letters"):
        found.append(f"dead letters: {installed.call('deadletters', 'list').stdout}")
    for file in sorted((installed.folder / "data" / "logs").glob("*.jsonl*")):
        text = file.read_text(encoding="utf-8")
        for line in text.splitlines():
            if any(
                word in line for word in ("_failed", ".failed", "page failed", "supervisor.died", "Traceback")
            ):
                found.append(f"{file.name}: {line[:600]}")
        found += [f"{file.name} holds a secret" for secret in secrets if secret in text]
        found += [f"{file.name} holds a phone" for phone in _PHONES if phone in text]
    return found


def _run(tool: Path, document: str, url: str, seconds: int, *more: str) -> list[str]:
    done = subprocess.run(
        [
            str(tool), "run", document, "--url", url, "--max-time", str(max(5, seconds)), "--checks", "all",
            "--exclude-checks", _NOT_OURS, "--phases", "examples,coverage,fuzzing", "--continue-on-failure",
            "--suppress-health-check", "all", "--warnings", "off", *more,
        ],
        cwd=_notes(), check=False,
    )  # fmt: skip
    return [f"schemathesis at {document}: exit code {done.returncode}"] if done.returncode else []


def _notes() -> Path:
    """Where schemathesis keeps what it remembers."""
    folder = _ROOT / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(url, data=body, timeout=10):
        return
