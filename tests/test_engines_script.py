"""scripts/engines says what it lacks; compose.yaml gives people what the tests run on."""

import runpy
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from engines import SCRIPT

COMPOSE = SCRIPT.parents[1] / "compose.yaml"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPT.parent)
        return runpy.run_path(str(SCRIPT.with_suffix(".py")))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def test_a_jdk_that_is_missing_is_named(script: dict[str, Any]) -> None:
    future = replace(script["ENGINES"]["elasticsearch"], java=999)
    with pytest.raises(script["EngineError"], match="needs a JDK 999 or newer; found: "):
        script["java_home"](future)


def test_without_maven_it_says_so(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    unheard = replace(script["ENGINES"]["elasticsearch"], version="0.0.0")
    with pytest.raises(script["EngineError"], match="there is no mvn command"):
        script["assemble"](unheard)


def test_what_was_never_up_cannot_be_started() -> None:
    done = subprocess.run(
        [str(SCRIPT), "--instance", "never", "start", "opensearch"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "==> opensearch was never up; call: scripts/engines up\n"


def test_the_images_are_of_the_versions_under_test(
    script: dict[str, Any], compose: dict[str, Any]
) -> None:
    images = {service["image"] for service in compose["services"].values()}
    versions = {name: engine.version for name, engine in script["ENGINES"].items()}
    assert images == {
        f"elasticsearch:${{ELASTICSEARCH_VERSION:-{versions['elasticsearch']}}}",
        f"opensearchproject/opensearch:${{OPENSEARCH_VERSION:-{versions['opensearch']}}}",
    }


def test_every_node_has_data_of_its_own_a_health_check_and_a_password(
    compose: dict[str, Any],
) -> None:
    nodes = {name: node for name, node in compose["services"].items() if "healthcheck" in node}
    assert len(nodes) == 8
    for name, node in nodes.items():
        folders = [volume for volume in node["volumes"] if volume.startswith(f"{name}:")]
        assert len(folders) == 1
        assert name in compose["volumes"]
        assert node["environment"]["node.name"] == name
        assert any("PASSWORD" in setting for setting in node["environment"])
        assert all(port.startswith("127.0.0.1:") for port in node.get("ports", ()))


def test_three_nodes_know_of_each_other(compose: dict[str, Any]) -> None:
    for engine, first in (("elasticsearch", "master"), ("opensearch", "cluster_manager")):
        names = {
            name
            for name, service in compose["services"].items()
            if service["profiles"] == [f"{engine}-3"]
        }
        assert len(names) == 3
        for name in names:
            settings = compose["services"][name]["environment"]
            assert set(settings["discovery.seed_hosts"].split(",")) == names
            assert set(settings[f"cluster.initial_{first}_nodes"].split(",")) == names


def test_a_secured_server_needs_openssl(
    script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(script["EngineError"], match="needs openssl to make its certificate"):
        script["security"].secure(tmp_path, script["ENGINES"]["opensearch"], tmp_path)
