"""What is deployed: every variable, command and file in it is one that there is, and no secret."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
import typer
import yaml

from mycelium.settings import settings
from mycelium_server.cli.app import app
from mycelium_worker.servers.file import read_servers
from mycelium_worker.servers.spec import StdioServer
from tests.support.processes import MYCELIUM, PATIENCE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
OF_IMAGES = {"RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS", "RABBITMQ_DEFAULT_VHOST"}
"""Variables that RabbitMQ's own image reads."""
OF_PYTHON = {"PYTHONUNBUFFERED"}
SECRET = re.compile(r"PASS|KEY|SECRET|TOKEN")
NEEDED = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


def commands() -> dict[str, Any]:
    """Our commands by name, as Typer has them; its own classes have no public types to look into."""
    return cast("Any", typer.main.get_command(app)).commands


def known_variables() -> set[str]:
    """Every variable that a setting or a flag reads."""
    known = {name for setting in settings().values() for name in setting.variables} | {"MYCELIUM_LOG"}
    for command, found in commands().items():
        for param in found.params:
            named = param.envvar or f"MYCELIUM_{command}_{param.name}".upper().replace("-", "_")
            known |= {named} if isinstance(named, str) else set(named)
    return known


def example() -> dict[str, str]:
    """The variables of the example, with their values."""
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def instructions(name: str) -> list[str]:
    """What follows this word in the Dockerfile, with its lines joined."""
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.split(maxsplit=1)[1] for line in joined.splitlines() if line.split(maxsplit=1)[:1] == [name]]


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_one_that_we_read(service: str) -> None:
    assert set(OURS[service]["environment"]) <= known_variables()


def test_every_variable_of_the_image_is_one_that_we_read() -> None:
    set_there = {pair.split("=")[0] for line in instructions("ENV") for pair in shlex.split(line)}
    assert "MYCELIUM_WORKER_HEALTH_FILE" in set_there
    assert set_there <= known_variables() | OF_PYTHON


def test_other_images_are_told_only_what_they_read() -> None:
    for name in SERVICES.keys() - OURS.keys():
        assert set(SERVICES[name].get("environment", {})) <= OF_IMAGES


def test_the_example_names_what_may_be_filled_in_with_its_default() -> None:
    text = (DEPLOY / "docker-compose.yml").read_text(encoding="utf-8")
    needed = {name: default for name, default in NEEDED.findall(text) if not SECRET.search(name)}
    secrets = {name for name, _ in NEEDED.findall(text)} - needed.keys()
    filled = example()
    assert {name: value for name, value in filled.items() if not SECRET.search(name)} == needed
    assert filled.keys() - needed.keys() == secrets


def test_nothing_here_is_a_secret() -> None:
    assert {name: value for name, value in example().items() if SECRET.search(name) and value} == {}
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert not SECRET.search(name) or NEEDED.fullmatch(value)
    assert not [line for word in ("ENV", "ARG") for line in instructions(word) if SECRET.search(line)]


@pytest.mark.parametrize("service", OURS)
def test_every_command_is_one_of_ours_with_its_flags(service: str) -> None:
    name, *words = OURS[service]["command"]
    assert name in commands()
    flags = {flag for param in commands()[name].params for flag in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= flags


def test_the_image_runs_a_command_of_ours() -> None:
    (entry,), (command,) = instructions("ENTRYPOINT"), instructions("CMD")
    assert json.loads(entry) == ["mycelium"]
    assert json.loads(command)[0] in commands()


def test_versions_are_pinned_to_a_major_one() -> None:
    images = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert all(re.fullmatch(r"[a-z]+:\d+(-[a-z]+)?", image) for image in images)
    assert instructions("FROM") == ["python:3.12-slim"]


def test_the_image_has_every_package_and_nothing_that_is_not_there() -> None:
    copied = {word for line in instructions("COPY") for word in line.split()[:-1]}
    assert not [name for name in copied if not (ROOT / name).exists()]
    assert {"mycelium", "backends", "messaging", "server", "tools", "worker"} <= copied
    let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert let_in == copied


def test_the_image_runs_as_nobody_of_importance() -> None:
    assert instructions("USER") == ["mycelium"]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nENTRYPOINT ")


def test_workers_come_after_what_they_need_and_have_time_to_end() -> None:
    worker = SERVICES["worker"]
    assert set(worker["depends_on"]) == {"rabbitmq", "redis", "topology"}
    assert "container_name" not in worker
    assert "ports" not in worker
    drain = float(example()["MYCELIUM_WORKER_DRAIN_SECONDS"])
    assert float(worker["stop_grace_period"].removesuffix("s")) > drain
    assert all("healthcheck" in SERVICES[name] for name in ("rabbitmq", "redis"))


def test_a_client_starts_a_server_for_itself_and_nobody_else_does() -> None:
    server = SERVICES["server"]
    assert server["profiles"] == ["server"]
    assert server["stdin_open"]
    assert server["environment"].items() <= SERVICES["worker"]["environment"].items()
    text = (ROOT / "docs" / "how-to" / "deploy.md").read_text(encoding="utf-8")
    assert text.count("docker-compose.yml run --rm -T server") == 1
    assert '"run", "--rm", "-T", "server"]' in text


def test_the_file_for_workers_without_walls_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(MYCELIUM).parent))  # as the image has our command
    store, bench = read_servers(DEPLOY / "unconfined.json", {"REDIS_URL": "redis://redis/0"})
    assert isinstance(store, StdioServer)
    assert isinstance(bench, StdioServer)
    assert store.env == {"REDIS_URL": "redis://redis/0"}
    for server in (store, bench):
        flags = {flag for param in commands()[server.args[0]].params for flag in param.opts}
        assert {word for word in server.args if word.startswith("-")} <= flags
    assert "--unconfined" in bench.args


def test_stores_are_kept_and_only_this_machine_reaches_them() -> None:
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == set(COMPOSE["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))
    assert "--appendonly yes" in " ".join(SERVICES["redis"]["command"])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"status": "working", "age": 1.0}, 0),
        ({"status": "draining", "age": 1.0}, 0),
        ({"status": "disconnected", "age": 1.0, "sources": {"rabbitmq": False}}, 1),
        ({"status": "working", "age": 60.0}, 1),
        ({"status": "working"}, 1),
        (None, 1),
    ],
)
def test_a_container_is_well_while_its_worker_is(tmp_path: Path, said: dict[str, Any] | None, code: int) -> None:
    file = tmp_path / "health.json"
    if said is not None:
        age = said.pop("age", None)
        file.write_text(json.dumps(said if age is None else {**said, "at": time.time() - age}))
    done = ask(file)
    assert (done.returncode, bool(done.stderr)) == (code, bool(code))
    assert "Traceback" not in done.stderr


def ask(file: Path) -> subprocess.CompletedProcess[str]:
    """What the image's check says of this health file."""
    return subprocess.run(
        [sys.executable, DEPLOY / "healthy.py"],
        env={"MYCELIUM_WORKER_HEALTH_FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def test_a_real_worker_is_well_until_it_is_told_to_end(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    told = {"MYCELIUM_BACKEND": f"sqlite:///{tmp_path}/store.db", "MYCELIUM_WORKER_HEALTH_FILE": str(file)}
    with anyio.fail_after(PATIENCE):
        async with await anyio.open_process(
            [MYCELIUM, *SERVICES["worker"]["command"]], env={"PATH": os.environ["PATH"], **told}, cwd=tmp_path
        ) as worker:
            assert worker.stderr is not None
            said = ""
            while "takes tasks" not in said:
                said += (await worker.stderr.receive()).decode()
            assert ask(file).returncode == 0
            worker.terminate()
            assert await worker.wait() == 0
    assert ask(file).returncode == 1
