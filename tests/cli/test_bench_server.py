"""`mycelium bench` measures the server that is configured, reached as the configuration says."""

import json
from pathlib import Path

import pytest

from mycelium_server.bench.server import in_namespace, plain_url
from mycelium_server.bench.subject import subject_of
from tests.cli.conftest import Command, Said
from tests.support.redis import RedisServer, free_port, redis_server

SMALL = ("--calls", "5", "--agents", "2", "--json")
URL = "coordination.redis.url"


def store(said: Said) -> str:
    """Where it was measured, as the report shows it."""
    assert (said.code, said.err) == (0, "")
    return str(json.loads(said.out)["store"])


def test_flags_count_over_variables(mycelium: Command, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    measured = store(mycelium("--set", f"{URL}=redis://127.0.0.1:{redis.port}", "bench", "-b", "redis", *SMALL))
    assert measured.startswith(f"redis://127.0.0.1:{redis.port}/0?namespace=bench-")


def test_the_file_that_a_flag_names_counts(mycelium: Command, redis: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(json.dumps({"coordination": {"redis": {"url": f"redis://127.0.0.1:{redis.port}", "db": 3}}}))
    measured = store(mycelium("--config", str(file), "bench", "-b", "redis", *SMALL))
    assert measured.startswith(f"redis://127.0.0.1:{redis.port}/3?")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "/nope", "bench", "-b", "sqlite"),
        ("--set", "nonsense=1", "bench"),
        ("--set", f"{URL}=http://host", "bench", "-b", "redis"),
    ],
)
def test_flags_that_are_wrong_are_refused(mycelium: Command, arguments: tuple[str, ...]) -> None:
    assert mycelium.fail(2, *arguments, *SMALL[:-1]).startswith("invalid_config: ")


@pytest.mark.parametrize(
    "variables",
    [
        {"REDIS_URL": "redis://localhost/3", "REDIS_DB": "2"},
        {"REDIS_URL": "redis://:one@localhost", "REDIS_PASSWORD": "another"},
    ],
)
def test_a_contradiction_is_refused(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert mycelium.fail(2, "bench", "-b", "redis").startswith("invalid_config: ")


@pytest.mark.parametrize("url", ["redis+sentinel://localhost/0?service=mymaster", "redis+cluster://localhost"])
def test_a_configured_server_that_cannot_be_measured_is_refused(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert mycelium.fail(2, "bench", "-b", "redis").startswith("invalid_input: mycelium bench cannot measure 'redis+")


@pytest.mark.parametrize("url", ["redis://127.0.0.1:99999", "redis://", "redis://localhost/team"])
def test_what_is_no_address_is_told(mycelium: Command, url: str) -> None:
    assert mycelium.fail(3, "bench", "-b", url).startswith("unknown_backend: ")


@pytest.mark.usefixtures("redis")  # skipped where no server is installed
def test_a_server_is_measured_through_its_socket_and_with_its_password(
    mycelium: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss word")
    socket = tmp_path / "s"
    with redis_server(tmp_path / "redis", "--unixsocket", str(socket), "--requirepass", "p@ss word") as server:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{server.port}/2")
        assert f":{server.port}/2?" in store(mycelium("bench", "-b", "redis", *SMALL))
        said = mycelium("bench", "-b", f"redis+unix://:p%40ss%20word@{socket}", *SMALL)
        assert str(socket) in store(said)
    assert {each["raw"] is not None for each in json.loads(said.out)["operations"]} == {True}


def test_how_to_reach_a_server_comes_along(mycelium: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "rediss://ada:key@host/3?retry_attempts=1&ssl_cert_reqs=none&namespace=theirs")
    server = subject_of("redis").server
    ours = in_namespace(server, "bench-1")
    assert ours.startswith("rediss://ada:key@host/3?")
    assert all(said in ours for said in ("retry_attempts=1", "ssl_cert_reqs=none", "namespace=bench-1"))
    assert "theirs" not in ours
    assert plain_url(server) == "rediss://ada:key@host/3?ssl_cert_reqs=none"


def test_the_terms_of_a_task_queue_are_the_configured_ones_but_nobody_is_refused(
    mycelium: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKQUEUE_POLL_INTERVAL", "250")
    monkeypatch.setenv("MYCELIUM_TASKQUEUE_MAX_TASKS", "1")
    assert subject_of("taskqueue").terms["poll_interval_ms"] == 250
    assert mycelium("bench", "-b", "taskqueue", "--calls", "600", "--agents", "1", "--json").code == 0
