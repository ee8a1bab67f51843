"""The files of deploy/ agree with the code and with one another, as far as that can be seen without Docker."""

import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from leadfold.settings import Settings
from tests.support import kafka_service

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


def test_one_kafka_release_everywhere() -> None:
    pom = ET.parse(ROOT / "deploy/kafka/pom.xml").getroot()
    name = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = {
        dependency.findtext("m:artifactId", namespaces=name): dependency.findtext(
            "m:version", namespaces=name
        )
        for dependency in pom.iterfind(".//m:dependency", name)
    }
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{versions['kafka_2.13']}" == kafka_service.IMAGE


@pytest.mark.parametrize("service", [name for name in SERVICES if "LEADFOLD_" in str(SERVICES[name])])
def test_environment_names_settings_that_exist(service: str) -> None:
    for variable in SERVICES[service]["environment"]:
        model: type[BaseModel] = Settings
        *sections, field = variable.removeprefix("LEADFOLD_").lower().split("__")
        for section in sections:
            annotation = model.model_fields[section].annotation
            assert isinstance(annotation, type)
            assert issubclass(annotation, BaseModel)
            model = annotation
        assert field in model.model_fields, variable


@pytest.mark.slow
@pytest.mark.parametrize(
    "service", [name for name in SERVICES if "--config" in SERVICES[name].get("command", [])]
)
def test_commands_of_services_exist(service: str) -> None:
    words = SERVICES[service]["command"][: SERVICES[service]["command"].index("--config")]
    program = [sys.executable, "-c", "from leadfold.cli import main; main()"]
    done = subprocess.run([*program, *words, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--config" in done.stdout


def test_services_wait_for_what_exists() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed]
            else:
                assert SERVICES[needed]["restart"] == "no", f"{needed} never completes"
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in COMPOSE["volumes"]


def test_only_the_front_door_is_open_to_the_network() -> None:
    published = {name: [str(port) for port in service.get("ports", [])] for name, service in SERVICES.items()}
    outside = {
        name for name, ports in published.items() if any(not port.startswith("127.0.0.1:") for port in ports)
    }
    assert outside == {"ingest"}


def test_compose_holds_no_password() -> None:
    text = (ROOT / "deploy/compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"POSTGRES_PASSWORD: (.*)", text) == [
        "${POSTGRES_PASSWORD:?set it to a long random password}"
    ]
    in_urls = set(re.findall(r"postgresql://leadfold:(\$\{[^}]+\})@", text))
    assert in_urls == {"${POSTGRES_PASSWORD:?set it to a long random password}"}
    assert text.count("postgresql://") == 2


def test_image_copies_every_package_and_installs_by_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = [
        pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]
    ]
    allowed = (ROOT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8")
    for package in packages:
        assert f"COPY {package} {package}\n" in DOCKERFILE
        assert f"!{package}\n" in allowed
    assert "--require-hashes --requirement requirements.lock" in DOCKERFILE
    assert re.search(r"^USER leadfold$", DOCKERFILE, re.MULTILINE)
