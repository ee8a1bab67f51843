"""The demo's own ``leadfold.toml``: the company's directory, a source for every provider, loopback addresses only."""

from __future__ import annotations

import secrets
import socket
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT

from leadfold.config_file import FILE_NAME, parse
from leadfold.demo.company import CABINET, COMPANY_ZONE, LINES, MOVED_LINE, OFFICES, OPERATORS, RATES
from leadfold.demo.poster import Target
from leadfold.demo.sent import OFFICE, PROVIDERS
from leadfold.files import write_private
from leadfold.settings import Settings
from leadfold.source_settings import source_config

_OPS_PORT: Final = 8083
_PORTS: Final = {"ingest": 8080, "reports": 8081, "projector": 8082}


def write(folder: Path, handover: date, changes: dict[str, dict[str, Any]] | None = None) -> Path:
    """Write the settings file into a folder and return it.

    ``handover`` is the day of `History.handover`; ``changes`` are further settings by table
    (``{"log": {"engine": "kafka"}}``), which win. The usual ports are taken when they are free, else any.
    """
    text = (files("leadfold") / "leadfold.template.toml").read_text(encoding="utf-8")
    document = tomlkit.parse(text.replace("@KEY_SECRET@", secrets.token_urlsafe(48)))
    tables: dict[str, dict[str, Any]] = {
        "company": {"name": "Автосервис «Пример»", "timezone": COMPANY_ZONE},
        # History is replayed at once, each delivery with the moment when it came.
        "ingest": {
            "host": "127.0.0.1",
            "accept_received_header": True,
            "rate_per_s": 1e6,
            "rate_burst": 1_000_000,
        },
        "reports": {},
        "projector": {"batch": 2000},
    }
    for name, port in _PORTS.items():
        tables[name]["port"] = _free(port)
    tables["ingest"]["ops_port"] = _free(_OPS_PORT)
    for name, values in (changes or {}).items():
        tables.setdefault(name, {}).update(values)
    for name, values in tables.items():
        for key, value in values.items():
            document[name][key] = value
    for name, items in (("sources", _sources()), *_directory(handover)):
        document.append(name, _array(items))
    path = folder / FILE_NAME
    folder.mkdir(parents=True, exist_ok=True)
    parse(tomlkit.dumps(document), path)
    write_private(path, tomlkit.dumps(document))
    return path


def targets(settings: Settings, ingest_url: str) -> dict[str, Target]:
    """Where each source's deliveries go; ``ingest_url`` without a slash at the end."""
    found: dict[str, Target] = {}
    for source in settings.sources:
        if source.provider == "native":
            key = (("Authorization", f"Bearer {source.secret.get_secret_value()}"),)
            found[source.name] = Target(f"{ingest_url}/v1/events", key)
        else:
            found[source.name] = Target(ingest_url + source_config(source, settings).url_path)
    return found


def _free(port: int) -> int:
    """The port when nobody listens there, else 0: the system chooses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _array(items: list[dict[str, Any]]) -> AoT:
    array = tomlkit.aot()
    for item in items:
        table = tomlkit.table()
        for key, value in item.items():
            table.add(key, value)
        table.add(tomlkit.nl())
        array.append(table)
    return array


def _sources() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "provider": provider,
            "secret": secrets.token_urlsafe(24),
            **({"office": OFFICE[name], "timezone": OFFICES[OFFICE[name]].zone} if name in OFFICE else {}),
        }
        for name, provider in PROVIDERS.items()
    ]


def _directory(handover: date) -> tuple[tuple[str, list[dict[str, Any]]], ...]:
    offices = [{"id": o.id, "label": o.label, "timezone": o.zone} for o in OFFICES.values()]
    employees = []
    for o in OPERATORS:
        held: list[dict[str, Any]] = [{"ext": o.ext, "source": CABINET}]
        if o.ext_after:
            held[0]["to"] = handover
            held.append({"ext": o.ext_after, "source": CABINET, "from": handover})
        employees.append(
            {
                "id": o.id,
                "name": o.name,
                "team": o.team,
                "office": o.office,
                "role": "operator",
                "extensions": held,
                "logins": [o.login, o.jivo],
                "phones": [o.phone],
            }
        )
    numbers: list[dict[str, Any]] = []
    for line in LINES:
        number = {"number": f"+{line.number}", "channel": line.channel, "office": line.office}
        if line.number != MOVED_LINE[0]:
            numbers.append(number)
            continue
        numbers += [{**number, "to": handover}, {**number, "channel": MOVED_LINE[1], "from": handover}]
    plans = [
        {
            "metric": "arrival_rate",
            "value": int(rate),
            **{k: v for k, v in (("team", team), ("employee", who)) if v},
        }
        for team, who, rate in RATES
    ]
    return ("offices", offices), ("employees", employees), ("numbers", numbers), ("plans", plans)
