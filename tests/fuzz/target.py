"""One coverage-guided run: ``python -m tests.fuzz.target CORPUS -max_total_time=60``. Runs in build/fuzz-venv.

The first bytes choose provider, method, content type and encoding; the rest is query and body. A finding is written to
``build/fuzz/findings`` and ends the run with an error code.
"""

import hashlib
import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import structlog

atheris: Any = importlib.import_module("atheris")

with atheris.instrument_imports(include=["ingest", "domain"]):
    from ingest.adapters.registry import adapters
    from ingest.decoding import TooLarge, decompress
    from ingest.limits import DEFAULT_LIMITS, Unreadable
    from tests.fuzz.claims import check
    from tests.ingest.support import cases, delivery, delivery_of

FINDINGS = Path(__file__).resolve().parents[2] / "build" / "fuzz" / "findings"
PROVIDERS = sorted(adapters())
TYPES = (
    "application/json", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=B", "text/plain",
    "application/json; charset=windows-1251", "application/x-www-form-urlencoded; charset=windows-1251",
    "application/json; charset=utf-16",
)  # fmt: skip
ENCODINGS = ("", "gzip", "deflate", "gzip, deflate", "br")


def one_input(data: bytes) -> None:
    """What libFuzzer calls for every input."""
    if len(data) < 4:
        return
    provider, type_, encoding, cut = PROVIDERS[data[0] % len(PROVIDERS)], data[1], data[2], data[3]
    rest = data[4:]
    query = rest[:cut].decode("latin-1") if cut < 128 else ""
    body = rest[cut:] if cut < 128 else rest
    headers = {"content-type": TYPES[type_ % len(TYPES)]}
    named = ENCODINGS[encoding % len(ENCODINGS)] if encoding < 32 else ""
    if named:
        headers["content-encoding"] = named
        try:
            body = decompress(body, named, DEFAULT_LIMITS)
        except (Unreadable, TooLarge):
            pass
        else:
            del headers["content-encoding"]
    try:
        check(delivery(provider, query=query, body=body, headers=headers))
    except BaseException:  # libFuzzer writes the inputs of crashes only, and an exception is none
        FINDINGS.mkdir(parents=True, exist_ok=True)
        (FINDINGS / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        sys.stderr.write(f"FOUND by {provider}, query {query!r}, {headers}, body {body!r}\n")
        raise


def seed(corpus: Path) -> None:
    """The tables of the tests as first inputs, and a native event of each golden file's kind."""
    corpus.mkdir(parents=True, exist_ok=True)
    for number, (provider, case) in enumerate(cases()):
        one = delivery_of(provider, case)
        type_ = next((n for n, t in enumerate(TYPES) if t and t == one.header("content-type")), 2)
        query = one.query.encode("utf-8", "replace")[:127]
        head = bytes((PROVIDERS.index(provider), type_, 255, len(query)))
        (corpus / f"table-{number}").write_bytes(head + query + one.body)
    native = bytes((PROVIDERS.index("native"), 0, 255, 255))
    for number, file in enumerate(sorted(Path("schemas/golden").rglob("*.json"))):
        told = json.loads(file.read_text(encoding="utf-8"))
        (corpus / f"golden-{number}").write_bytes(native + json.dumps(told).encode())


def main() -> None:
    """Fuzz until libFuzzer's own limits."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed(Path(sys.argv[1]))
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
