"""The files of compose/: what can be known of them without a Docker engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema  # type: ignore[import-untyped]  # likewise
import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own
from compose_support import FOLDER, ROOT, filled, read_compose, read_env, variables_of

from swarm.settings import Settings
from swarm_cli.main import swarm

SECRETS = {"REDIS_PASSWORD": "one", "GRAFANA_PASSWORD": "two"}
EXAMPLE = read_env(FOLDER / ".env.example")
OF_THE_FILE = {"GATEWAY_ADDRESS", "GATEWAY_PORT", "GRAFANA_PORT", "WORKER_PROCESSES", "PROMETHEUS_RETENTION"}
METRICS = {
    "swarm_hook_duration_seconds": {"event", "outcome"},
    "swarm_ops_total": {"kind", "state"},
    "swarm_op_age_seconds": {"kind"},
    "swarm_queue_depth": {"queue"},
    "swarm_workers": {"pool", "state"},
    "swarm_patterns": {"scope"},
    "swarm_consolidation_duration_seconds": set(),
    "swarm_adapter_promotions_total": {"result"},
    "swarm_router_decisions_total": {"model", "reason"},
    "swarm_dead_letters_total": {"task"},
    "swarm_build_info": {"version"},
}


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file as Compose reads it with the example's values and two passwords."""
    return read_compose({**EXAMPLE, **SECRETS})


def test_compose_file_fits_the_specification(compose: dict[str, Any]) -> None:
    # The schema is of 2021, as docker-compose 1.29.2 has it; a project's name came later.
    schema = json.loads((ROOT / "tests" / "data" / "compose-spec.json").read_text())
    del compose["name"]
    jsonschema.Draft201909Validator(schema).validate(compose)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft201909Validator(schema).validate({**compose, "services": {"a": {"image": 1}}})


def test_docker_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    has_plugin = docker and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0
    if not docker or not has_plugin:
        pytest.skip("no docker with the compose plugin on this machine")
    subprocess.run(
        [docker, "compose", "-f", str(FOLDER / "compose.yaml"), "config", "--quiet"],
        env={"PATH": str(Path(docker).parent), **SECRETS},
        check=True,
    )


def test_without_the_passwords_nothing_starts() -> None:
    for missing in SECRETS:
        with pytest.raises(ValueError, match=f"{missing}: set it in compose/.env"):
            read_compose({**EXAMPLE, **SECRETS, missing: ""})


def test_every_variable_is_in_the_example_and_none_is_in_vain() -> None:
    used = variables_of((FOLDER / "compose.yaml").read_text())
    assert set(EXAMPLE) == used
    of_swarm = {name for name in used if name.startswith("SWARM_")} - {"SWARM_VERSION"}
    assert of_swarm <= {f"SWARM_{name.upper()}" for name in Settings.model_fields}
    assert used == of_swarm | set(SECRETS) | OF_THE_FILE | {"SWARM_VERSION"}


def test_the_defaults_of_the_file_are_those_of_the_example_and_of_the_settings() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    assert filled(text, SECRETS) == filled(text, {**EXAMPLE, **SECRETS})
    for name in ("name", "embedder", "fsync", "consolidate_delay"):
        default = Settings.model_fields[name].default
        assert EXAMPLE[f"SWARM_{name.upper()}"] == (f"{default:g}" if isinstance(default, float) else default)


def test_every_setting_of_a_service_is_one_of_ours(compose: dict[str, Any]) -> None:
    known = {f"SWARM_{name.upper()}" for name in Settings.model_fields}
    for service in ("gateway", "workers", "tokens"):
        assert set(compose["services"][service]["environment"]) <= known


def swarm_commands(compose: dict[str, Any]) -> Iterator[list[str]]:
    """Every command line that begins with `swarm`, of commands and of health checks."""
    for service in compose["services"].values():
        for words in (service.get("command", []), service.get("healthcheck", {}).get("test", [])):
            line = " ".join(words)
            for found in re.finditer(r"(?:^|CMD |\|\| )(swarm [^>]*)", line):
                yield found[1].split()
    instructions = (FOLDER / "Dockerfile").read_text()
    yield from (json.loads(found) for found in re.findall(r"^CMD (\[.*\])$", instructions, re.MULTILINE))


def test_every_command_is_one_of_the_command_line_with_its_options(compose: dict[str, Any]) -> None:
    lines = list(swarm_commands(compose))
    assert [" ".join(line[1:3]) for line in lines] == [
        "serve --host",
        "workers run",
        "workers list",
        "token create",
        "serve --host",
    ]
    for line in lines:
        command: click.Command | None = swarm
        words = line[1:]
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), words.pop(0))
        assert command is not None, line
        command.make_context(line[1], words)  # UsageError for what it does not know


def test_files_that_are_mounted_and_copied_are_there(compose: dict[str, Any]) -> None:
    volumes = set(compose["volumes"])
    for service in compose["services"].values():
        for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
            assert source in volumes or (source.startswith("./") and (FOLDER / source).exists()), source
    instructions = (FOLDER / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", instructions, re.MULTILINE):
        assert all((ROOT / source).exists() for source in line.split()[:-1]), line
    kept = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    copied = {
        source for line in re.findall(r"^COPY (?!--from)(.*)$", instructions, re.M) for source in line.split()[:-1]
    }
    assert {line[1:] for line in kept if line.startswith("!")} == copied


def test_services_wait_for_what_says_that_it_is_well(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            ends_by_itself = services[other].get("restart") == "no"
            wanted = "service_completed_successfully" if ends_by_itself else "service_healthy"
            assert how["condition"] == wanted, (name, other)
            assert ends_by_itself or services[other]["healthcheck"]["test"][0] == "CMD"


def test_nothing_listens_on_all_addresses_unless_told_to_and_redis_nowhere(compose: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert ports == {"gateway": ["127.0.0.1:8787:8787"], "grafana": ["127.0.0.1:3000:3000"]}


def test_what_is_ours_runs_without_rights(compose: dict[str, Any]) -> None:
    for name in ("gateway", "workers", "tokens"):
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["init"] is True
    last = (FOLDER / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER swarm$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "apt" not in last
    assert "pip uninstall" in last


def test_images_have_versions(compose: dict[str, Any]) -> None:
    bases = re.findall(r"^FROM (\S+)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE)
    for image in [*(service["image"] for service in compose["services"].values()), *bases]:
        assert re.search(r":v?\d+\.\d+", image), image


def test_prometheus_asks_the_gateway_with_the_token_that_is_made_for_it(compose: dict[str, Any]) -> None:
    config = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["gateway:8787"]}]
    assert job["metrics_path"] == "/metrics"
    path = job["authorization"]["credentials_file"]
    assert path in compose["services"]["tokens"]["command"][-1]
    folder = str(Path(path).parent)
    assert f"tokens:{folder}" in compose["services"]["tokens"]["volumes"]
    assert f"tokens:{folder}:ro" in compose["services"]["prometheus"]["volumes"]


def dashboard() -> dict[str, Any]:
    """The dashboard of the swarm."""
    found = json.loads((FOLDER / "grafana" / "dashboards" / "swarm.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_dashboard_asks_for_every_metric_and_no_other() -> None:
    queries = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    asked = {re.sub("_(bucket|count|sum)$", "", name) for query in queries for name in re.findall(r"swarm_\w+", query)}
    assert asked == set(METRICS)
    for query in queries:
        labels = set().union(*(METRICS[name] for name in METRICS if name in query)) | {"le"}
        for found in re.findall(r"by \(([^)]*)\)|\{([^}]*)\}", query):
            used = {part.partition("=")[0].strip() for part in ",".join(found).split(",") if part.strip()}
            assert used <= labels, query


def test_panels_have_the_data_source_that_is_provisioned_and_do_not_overlap() -> None:
    sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    uid = sources["datasources"][0]["uid"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        assert panel["datasource"]["uid"] == uid
        assert panel["title"]
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    provider = yaml.safe_load((FOLDER / "grafana/provisioning/dashboards/swarm.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.mark.timeout(300)
def test_the_wheel_that_the_image_is_built_from_has_every_package(tmp_path: Path) -> None:
    # A copy, as the image has it: the build must not leave anything in the repository.
    source = tmp_path / "source"
    source.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("swarm", "agents", "workers"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(source)], check=True
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, package in (
        ("swarm", "swarm"),
        ("swarm", "swarm_gateway"),
        ("swarm", "swarm_cli"),
        ("agents", "swarm_agents"),
        ("workers", "swarm_workers"),
    ):
        files = [path for path in (source / folder / package).rglob("*") if path.is_file()]
        assert files
        assert {str(path.relative_to(source / folder)) for path in files} <= names
