"""The image's recipe and the compose file, as far as they can be judged without building."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from tests.deploy.chart import CHART, ROOT
from tests.services.require import require_program
from worker.config import load
from worker.demo.kafka_server import KAFKA_VERSION

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"
BIN = Path(sys.executable).parent


def test_hadolint_finds_nothing_to_improve() -> None:
    checked = subprocess.run(
        [BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_image_runs_as_a_user_without_rights_and_needs_no_shell() -> None:
    last_stage = DOCKERFILE.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last_stage
    assert '\nENTRYPOINT ["/opt/mmworker/bin/mmworker"]\nCMD ["run"]\n' in last_stage


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    tested, installed = pins(ROOT / "requirements.txt"), pins(ROOT / "deploy" / "requirements.txt")
    assert len(installed) > 50
    assert installed.items() <= tested.items()
    assert not {"pytest", "helm-python-sdk", "hypothesis"} & installed.keys()


def test_every_requirement_of_the_image_has_a_hash() -> None:
    text = (ROOT / "deploy" / "requirements.txt").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert all("--hash=sha256:" in block for block in blocks)


def test_the_bill_of_materials_names_every_package_of_the_image(tmp_path: Path) -> None:
    recipe = re.search(r"cyclonedx-py ([^\n]+)\\\n([^\n]+)", (ROOT / "Makefile").read_text())
    assert recipe is not None
    arguments = " ".join(recipe.groups()).replace("out/sbom.json", str(tmp_path / "sbom.json"))
    subprocess.run([BIN / "cyclonedx-py", *arguments.split()], cwd=ROOT, check=True)
    document = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    listed: dict[str, set[str]] = {}
    for each in document["components"]:
        listed.setdefault(each["name"], set()).add(each["version"])
    assert listed == pins(ROOT / "deploy" / "requirements.txt")


def test_the_compose_file_is_one_by_its_specification() -> None:
    parsed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose()))  # without anchors
    parsed.validate()
    assert set(parsed.service_names()) == set(compose()["services"])


def test_the_compose_file_refers_to_what_is_there() -> None:
    document = compose()
    services, configs = document["services"], document["configs"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= services.keys()
        assert {each["source"] for each in service.get("configs", [])} <= configs.keys()
    files = [each["file"] for each in configs.values() if "file" in each]
    assert all((COMPOSE.parent / file).is_file() for file in files)
    assert (COMPOSE.parent / services["worker"]["build"]["context"] / "worker").is_dir()
    assert (ROOT / services["worker"]["build"]["dockerfile"]) == DOCKERFILE


@pytest.mark.parametrize("name", ["topics", "worker", "producer"])
def test_the_worker_takes_its_settings_from_the_compose_file(name: str) -> None:
    service = compose()["services"][name]
    config = load(None, service["environment"]).config
    assert config.kafka.bootstrap_servers == "kafka:9092"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_compose_file_has_the_tested_kafka_and_the_version_of_the_chart() -> None:
    services = compose()["services"]
    version = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert services["worker"]["image"] == f"multimodal-worker:{version}"


def test_promtool_takes_the_prometheus_configuration(tmp_path: Path) -> None:
    require_program("promtool")
    text = compose()["configs"]["prometheus"]["content"]
    rules = CHART / "files" / "alerts.yaml"
    file = tmp_path / "prometheus.yml"
    file.write_text(text.replace("/etc/prometheus/alerts.yaml", str(rules)), encoding="utf-8")
    checked = subprocess.run(
        ["promtool", "check", "config", file], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return document


def pins(file: Path) -> dict[str, set[str]]:
    """Return the versions of each package; there may be one per version of Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(
        r"^([a-z0-9.-]+)==([^\s;]+)", file.read_text(encoding="utf-8"), re.MULTILINE
    ):
        found.setdefault(name, set()).add(version)
    return found
