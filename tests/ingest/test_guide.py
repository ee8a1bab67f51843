"""docs/adding-a-provider.md is true: its example is an adapter, and its table passes."""

import json
import re
import types
from pathlib import Path
from typing import Any

from ingest.adapters.contract import Adapter
from ingest.adapters.registry import adapters
from ingest.translate import translate
from tests.ingest.support import KEY, RECEIVED, delivery

GUIDE = (Path(__file__).parents[2] / "docs" / "adding-a-provider.md").read_text(encoding="utf-8")


def block(kind: str, starts: str) -> Any:
    return next(b for b in re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.DOTALL) if b.startswith(starts))


def test_the_example_does_what_its_table_says() -> None:
    module = types.ModuleType("zvonok")
    exec(block("python", '"""«Звонок»'), module.__dict__)
    adapter = module.ADAPTER
    assert isinstance(adapter, Adapter)
    assert adapter.provider not in adapters()
    ids = {}
    for case in json.loads(block("json", "[")):
        sent = case["delivery"]
        one = delivery("zvonok", method=sent.get("method"), value=sent.get("json"), received=RECEIVED)
        assert adapter.authenticate(one)
        said = adapter.translate(one)
        assert [s.fact.TYPE for s in said.said] == [f["type"] for f in case.get("facts", [])]
        for told, fact in zip(said.said, case.get("facts", []), strict=True):
            data = told.fact.model_dump(mode="json")
            assert {k: data[k] for k in fact.get("data", {})} == fact.get("data", {})
            assert told.time is not None
            assert told.time.isoformat().replace("+00:00", "Z") == fact["time"]
        assert said.probe == case.get("probe", False)
        assert case.get("kept", "") in (said.kept or "")
        result = translate(one, adapter, KEY)
        ids[case["name"]] = {e.id for e in result.events}
        if "same_ids_as" in case:
            assert ids[case["name"]] == ids[case["same_ids_as"]]
    lost = translate(delivery("zvonok", value={"kind": "finished"}), adapter, KEY)
    assert lost.unreadable == "CallEnded: call_id does not fit"


def test_it_names_files_and_things_that_exist() -> None:
    root = Path(__file__).parents[2]
    for path in re.findall(r"`((?:ingest|tests|domain)/[\w/.]+)`", GUIDE):
        if "zvonok" not in path:
            assert (root / path).exists(), path
    for name in ("provider", "REVISION", "OK", "BROWSERS", "authenticate", "translate"):
        assert hasattr(Adapter, name) or name in Adapter.__annotations__
