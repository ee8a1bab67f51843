"""Log lines are JSON with event ids and without personal data."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import structlog

from leadfold.logs import SENSITIVE, drop_sensitive

PROGRAM = """
import logging, sys, structlog
from pathlib import Path
from leadfold import logs
logs.setup("ingest", "info", file=Path(sys.argv[1]) if len(sys.argv) > 1 else None)
log = structlog.get_logger("leadfold.test")
log.info("ingest.accepted", event_ids=["e1"], phone="+79031234567", delivery={"body": "secret", "size": 3})
logging.getLogger("aiohttp.server").warning("plain %s", "warning")
log.debug("not.shown")
for port in range(50):
    logging.getLogger("aiokafka.conn").error("Unable connect to node with id %s", port)
try:
    delivery = {"from": "Пётр 8 903 123-45-67"}
    raise ValueError("boom +7 (903) 123-45-67 petr@example.ru; input_value='Пётр'")
except ValueError:
    log.exception("failed")
"""


def lines(*arguments: str) -> tuple[list[dict[str, object]], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stderr.splitlines()], done.stderr


def test_lines_are_json_and_drop_what_is_personal() -> None:
    found, text = lines()
    assert [line["event"] for line in found] == [
        "ingest.accepted",
        "plain warning",
        "Unable connect to node with id 0",
        "failed",
    ]
    first = found[0]
    assert (first["event_ids"], first["part"], first["level"]) == (["e1"], "ingest", "info")
    assert first["delivery"] == {"body": "[dropped]", "size": 3}
    assert "7903" not in text
    assert "secret" not in text
    assert "ValueError" in json.dumps(found[3])
    assert "boom" in json.dumps(found[3])
    for personal in ("903", "Пётр", "petr@"):
        assert personal not in text
        assert personal not in json.dumps(found, ensure_ascii=False)


def test_with_a_file_stderr_gets_warnings_only(tmp_path: Path) -> None:
    found, _ = lines(str(tmp_path / "logs" / "ingest.jsonl"))
    assert [line["event"] for line in found] == ["plain warning", "failed"]
    kept = [json.loads(line) for line in (tmp_path / "logs" / "ingest.jsonl").read_text().splitlines()]
    assert len(kept) == 4
    assert (kept[2]["event"], kept[2]["level"]) == ("Unable connect to node with id 0", "info")


def test_a_folder_that_cannot_be_written_is_said_and_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found, _ = lines(str(tmp_path / "file" / "ingest.jsonl"))
    assert found[0]["event"] == "logs.no_file"
    assert len(found) == 5


def test_every_sensitive_name_is_dropped() -> None:
    line = dict.fromkeys(SENSITIVE, "+79031234567")
    assert set(drop_sensitive(structlog.get_logger(), "info", line).values()) == {"[dropped]"}
    assert logging.getLogger().handlers is not None
