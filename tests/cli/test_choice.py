"""Which store `auto` takes of those that could be, and how it says that it was not the first."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream

from mycelium import Mycelium
from mycelium.errors import BackendUnavailable, InvalidConfig
from mycelium.place import mode_of, place_at
from mycelium.settings import Surroundings
from mycelium_backends.auto import Choice, choose
from tests.cli.conftest import Command
from tests.server.raw_client import OPENING, PATIENCE, request
from tests.support.redis import RedisServer, free_port, redis_server

QUICK = {"MYCELIUM_REDIS_CONNECTION_TIMEOUT_SECONDS": "0.2", "MYCELIUM_REDIS_OPERATION_TIMEOUT_SECONDS": "0.2"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "My project!"
    (folder / ".git").mkdir(parents=True)
    return folder


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis", "--requirepass", "secret") as server:
        yield server


@pytest.fixture
def nobody() -> Generator[str]:
    """Where a Redis would be that takes connections and then says nothing."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}"


def chosen(project: Path, **environ: str) -> Choice:
    return choose(Surroundings(project, project.parent / "data", environ={**QUICK, **environ}))


def configure(project: Path, **coordination: object) -> None:
    (project / ".mycelium").mkdir(exist_ok=True)
    (project / ".mycelium" / "config.json").write_text(json.dumps({"coordination": coordination}))


def sqlite_of(project: Path) -> str:
    return f"sqlite:///{project}/.mycelium/mycelium.db"


def markdown_of(project: Path) -> str:
    return f"markdown://{project}/.claude/coordination"


def test_redis_where_it_is_named_and_answers(project: Path, redis: RedisServer) -> None:
    choice = chosen(project, REDIS_URL=f"redis://127.0.0.1:{redis.port}", REDIS_PASSWORD="secret", REDIS_DB="3")
    assert choice.url == (
        f"redis://:secret@127.0.0.1:{redis.port}/3?namespace=My-project"
        "&connection_timeout_seconds=0.2&operation_timeout_seconds=0.2&retry_attempts=3&retry_delay_ms=100"
    )
    assert (choice.reason, choice.tried) == ("Redis, by variable REDIS_URL", ())
    assert choice.chosen.shown == f"redis://127.0.0.1:{redis.port}/3?namespace=My-project"


def test_a_redis_that_nobody_named_is_not_looked_for(project: Path) -> None:
    assert chosen(project) == chosen(project, REDIS_PASSWORD="secret", REDIS_URL="")
    assert chosen(project).url == sqlite_of(project)


def test_a_redis_that_is_not_there_is_passed_over(project: Path) -> None:
    port = free_port()
    choice = chosen(project, REDIS_URL=f"redis://:secret@127.0.0.1:{port}")
    assert choice.url == sqlite_of(project)
    (tried,) = choice.tried
    named = f"redis://127.0.0.1:{port}/0?namespace=My-project (Redis, by variable REDIS_URL)"
    assert tried.startswith(f"{named}: it does not answer (")
    assert "Connection refused" in tried


def test_a_redis_that_says_nothing_is_passed_over_after_its_timeout(project: Path, nobody: str) -> None:
    (tried,) = chosen(project, REDIS_URL=nobody).tried
    assert "it does not answer (Timeout" in tried


@pytest.mark.parametrize(
    ("password", "db", "why"),
    [("", "", "wants a password"), ("wrong", "", "invalid username-password"), ("secret", "99", "out of range")],
)
def test_a_redis_that_refuses_us_is_an_error_since_elsewhere_we_would_be_alone(
    project: Path, redis: RedisServer, password: str, db: str, why: str
) -> None:
    with pytest.raises(BackendUnavailable, match=why) as caught:
        chosen(project, REDIS_URL=f"redis://127.0.0.1:{redis.port}", REDIS_PASSWORD=password, REDIS_DB=db)
    assert caught.value.data["reason"] == "refused"
    assert "secret" not in str(caught.value)


def test_of_several_hosts_of_a_cluster_one_that_answers_is_enough(project: Path, redis: RedisServer) -> None:
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{redis.port}"
    assert chosen(project, REDIS_URL=f"redis+cluster://{hosts}", REDIS_PASSWORD="secret").tried == ()


def test_a_sentinel_that_is_not_there_is_passed_over(project: Path) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/0?service=main"
    (tried,) = chosen(project, REDIS_URL=url).tried
    assert tried.startswith(url.replace("service=main", "namespace=My-project").partition("?")[0])
    assert tried.endswith(": Sentinel does not answer, or names no primary 'main' that is up")


@contextmanager
def tls_server(folder: Path, wants: str = "no") -> Generator[int]:
    """The port of a server with a certificate of its own making; whether it wants one of its clients, too."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*made, "-days", "1", "-subj", "/CN=localhost"], check=True, capture_output=True)
    port = free_port()
    tls = ["--tls-port", port, "--tls-key-file", key, "--tls-cert-file", certificate, "--tls-ca-cert-file", certificate]
    with redis_server(folder / "tls", *map(str, tls), "--tls-auth-clients", wants):
        yield port


@pytest.mark.parametrize("wants", ["no", "yes"])
def test_a_server_that_speaks_tls_to_a_url_without_it_is_an_error(
    mycelium: Command, project: Path, tmp_path: Path, wants: str
) -> None:
    with tls_server(tmp_path, wants) as port:
        url = f"redis://127.0.0.1:{port}"
        with pytest.raises(BackendUnavailable, match="it speaks TLS: write rediss://"):
            chosen(project, REDIS_URL=url)
        assert "it speaks TLS: write rediss://" in mycelium("doctor", "--backend", url).out


def test_a_server_that_speaks_no_tls_to_a_url_with_it_is_an_error(
    mycelium: Command, project: Path, redis: RedisServer
) -> None:
    url = f"rediss://:secret@127.0.0.1:{redis.port}?connection_timeout_seconds=0.2&operation_timeout_seconds=0.2"
    with pytest.raises(BackendUnavailable, match="it does not speak TLS: write redis://"):
        chosen(project, REDIS_URL=url)
    assert "it does not speak TLS: write redis://" in mycelium("doctor", "--backend", url).out


def test_a_redis_that_shows_a_certificate_of_nobody_known_is_an_error(project: Path, tmp_path: Path) -> None:
    with tls_server(tmp_path) as port:
        with pytest.raises(BackendUnavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            chosen(project, REDIS_URL=f"rediss://127.0.0.1:{port}")
        assert caught.value.data["reason"] == "refused"
        known = f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none"
        assert chosen(project, REDIS_URL=known).tried == ()


def test_markdown_where_its_folder_is_and_no_database(project: Path) -> None:
    (project / ".claude" / "coordination").mkdir(parents=True)
    assert chosen(project).url == markdown_of(project)
    (project / ".mycelium").mkdir()
    assert chosen(project).url == markdown_of(project)
    (project / ".mycelium" / "mycelium.db").touch()
    assert chosen(project).url == sqlite_of(project)


def test_markdown_beside_a_database_is_passed_over_aloud(
    mycelium: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    (project / ".claude" / "coordination").mkdir(parents=True)
    mycelium.succeed("create", "for-all")
    mycelium.succeed("create", "by-accident", "--backend", "sqlite")
    files = f"{markdown_of(project)} (markdown files in {project}/.claude/coordination)"
    said = f"{files}: a database is there, too, and counts unless coordination.mode says otherwise"
    assert chosen(project) == Choice(chosen(project, MYCELIUM_MODE="sqlite").chosen, (said,))
    found = {each["subject"]: each for each in mycelium.succeed("doctor", "--json").data["findings"]}
    assert (found["passed over"]["level"], found["passed over"]["says"]) == ("warn", said)
    assert "coordination.mode" in found["passed over"]["mend"]
    configure(project, mode="markdown")
    assert chosen(project).tried == ()


def test_an_empty_folder_beside_a_database_is_not_worth_a_word(project: Path) -> None:
    (project / ".claude" / "coordination").mkdir(parents=True)
    (project / ".mycelium").mkdir()
    (project / ".mycelium" / "mycelium.db").touch()
    assert chosen(project).tried == ()


def test_a_folder_for_markdown_makes_a_project(tmp_path: Path) -> None:
    (tmp_path / "notes" / ".claude" / "coordination").mkdir(parents=True)
    (tmp_path / "notes" / "deep").mkdir()
    assert chosen(tmp_path / "notes" / "deep").url == markdown_of(tmp_path / "notes")


def test_markdown_where_no_database_can_be_made(project: Path) -> None:
    (project / ".mycelium").write_text("in the way")
    choice = chosen(project)
    assert choice.url == markdown_of(project)
    assert choice.tried == (
        f"{sqlite_of(project)} (the store of the project {project}): {project}/.mycelium is not a folder",
    )


def test_the_folder_for_markdown_can_be_another(project: Path) -> None:
    configure(project, mode="markdown", markdown={"folder": "notes/team"})
    assert chosen(project).url == f"markdown://{project}/notes/team"
    assert chosen(project, MYCELIUM_MARKDOWN_FOLDER="/srv/team").url == "markdown:///srv/team"


def test_a_forced_mode_is_not_left(project: Path) -> None:
    configure(project, mode="redis", redis={"url": f"redis://127.0.0.1:{free_port()}"})
    with pytest.raises(BackendUnavailable, match=r"\(mode redis, by file .*config.json\)") as caught:
        chosen(project)
    assert len(caught.value.data["tried"]) == 1  # type: ignore[arg-type]


def test_a_variable_forces_a_mode_over_the_file(project: Path) -> None:
    configure(project, mode="redis")
    assert chosen(project, MYCELIUM_MODE="sqlite").url == sqlite_of(project)
    assert chosen(project, TASKQUEUE_MODE="enabled").url.startswith("taskqueue:///")
    assert chosen(project, MYCELIUM_MODE="memory").url == "memory:"


def test_a_task_queue_has_the_configured_terms(project: Path) -> None:
    configure(project, mode="taskqueue", taskqueue={"poll_interval_ms": 50, "max_tasks": 5})
    query = "poll_interval_ms=50&max_tasks=5&task_timeout_seconds=300.0"
    file = f"{project}/.mycelium/mycelium.db".replace(" ", "%20").replace("!", "%21")
    assert chosen(project).url == f"taskqueue:///{file}?{query}"


def test_terms_that_somebody_set_are_never_passed_over_in_silence(project: Path) -> None:
    assert "max_tasks=5" in chosen(project, MYCELIUM_TASKQUEUE_MAX_TASKS="5").url


def test_what_the_address_says_counts_against_a_lower_origin(project: Path, redis: RedisServer) -> None:
    configure(project, redis={"url": "redis://elsewhere", "db": 0, "password": "stale"})
    choice = chosen(project, REDIS_URL=f"redis://:secret@127.0.0.1:{redis.port}/2")
    assert choice.url.startswith(f"redis://:secret@127.0.0.1:{redis.port}/2?")


def test_a_higher_origin_counts_against_what_the_address_says(project: Path, redis: RedisServer) -> None:
    configure(project, mode="redis", redis={"url": f"redis://:old@127.0.0.1:{redis.port}/2"})
    choice = chosen(project, REDIS_PASSWORD="secret", REDIS_DB="4")
    assert choice.url.startswith(f"redis://:secret@127.0.0.1:{redis.port}/4?")


@pytest.mark.parametrize("setting", [{"db": 3}, {"password": "other"}])
def test_contradictions_within_one_origin_are_errors(project: Path, setting: dict[str, object]) -> None:
    configure(project, redis={"url": "redis://:secret@127.0.0.1/2", **setting})
    with pytest.raises(InvalidConfig, match="is another than the one in coordination") as caught:
        chosen(project)
    assert "secret" not in str(caught.value)


def test_a_cluster_has_no_numbered_databases(project: Path) -> None:
    with pytest.raises(InvalidConfig, match="database 0 only"):
        chosen(project, REDIS_URL="redis+cluster://a,b", REDIS_DB="1")


async def test_falling_back_is_said_once_and_names_what_was_tried(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project)
    url = f"redis://127.0.0.1:{free_port()}"
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.delenv("MYCELIUM_BACKEND", raising=False)
    for _ in range(2):
        async with Mycelium.open(background=False) as m:
            assert m.mode == (await m.get_stats()).mode == "sqlite"
            instead_of = str((await m.get_stats()).instead_of)
            assert instead_of.startswith(
                f"{url}/0?namespace=My-project (Redis, by variable REDIS_URL): it does not answer"
            )
    (said,) = [record for record in caplog.records if record.name == "mycelium.auto"]
    assert said.levelno == logging.WARNING
    assert said.getMessage().startswith(f"Using {sqlite_of(project)} (the store of the project {project}) instead of ")
    assert f"{url}/0?namespace=My-project (Redis, by variable REDIS_URL): it does not answer" in said.getMessage()
    monkeypatch.delenv("REDIS_URL")
    async with Mycelium.open(background=False) as m:
        assert (await m.get_stats()).instead_of is None


def test_a_command_that_only_looks_asks_a_silent_redis_once(
    mycelium: Command, project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    mycelium.succeed("create", "review")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE)
        for name, value in QUICK.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{silent.getsockname()[1]}")
        said = dict(mycelium("stats").rows)
        assert said["tasks"] == "1 pending"
        silent.accept()[0].close()
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert "it does not answer" in caplog.text
    assert "it does not answer" in said["instead of"]
    assert f"instead of {said['instead of']}" in caplog.text
    monkeypatch.delenv("REDIS_URL")
    assert "instead of" not in dict(mycelium.succeed("stats").rows)
    assert mycelium.succeed("stats", "--json").data["instead_of"] is None


async def test_a_server_tells_its_log_and_who_asks_for_statistics_that_it_fell_back(project: Path) -> None:
    environ = os.environ | QUICK | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}", "MYCELIUM_BACKEND": "auto"}
    command = [sys.executable, "-m", "mycelium_server", "serve"]
    stats = request(1, "tools/call", {"name": "get_stats", "arguments": {}})
    with anyio.fail_after(PATIENCE):
        async with await anyio.open_process(command, cwd=project, env=environ) as server:
            assert server.stdin
            assert server.stdout
            assert server.stderr
            out = TextReceiveStream(server.stdout)
            await server.stdin.send(OPENING + stats)
            said = ""
            while said.count("\n") < 2:
                said += await out.receive()
            await server.stdin.aclose()
            logged = "".join([part async for part in TextReceiveStream(server.stderr)])
    _, answer = map(json.loads, said.splitlines())
    stats_said = answer["result"]["structuredContent"]
    assert stats_said["mode"] == "sqlite"
    assert "it does not answer" in stats_said["instead_of"]
    assert f"\ninstead of {stats_said['instead_of']}\n" in answer["result"]["content"][0]["text"]
    assert logged.count(f"WARNING mycelium.auto: Using {sqlite_of(project)}") == 1


async def test_a_word_names_a_mode(project: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    configure(project, mode="sqlite", redis={"url": f"redis://:secret@127.0.0.1:{redis.port}"})
    for word, mode in (("redis", "redis"), ("taskqueue", "taskqueue"), ("auto", "sqlite"), ("memory", "memory")):
        async with Mycelium.open(word, background=False) as m:
            assert (m.mode, (await m.get_stats()).mode) == (mode, mode)


@pytest.mark.parametrize("form", ["redis", "rediss", "redis+unix", "redis+sentinel", "redis+cluster"])
def test_every_form_of_redis_s_address_is_the_mode_redis(form: str) -> None:
    place = place_at({"redis+unix": "redis+unix:///run/s"}.get(form, f"{form}://h/0?service=main"))
    assert place is not None
    assert mode_of(place) == "redis"


def test_the_doctor_says_the_mode_and_what_was_passed_over(
    mycelium: Command, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.delenv("MYCELIUM_BACKEND")
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    data = mycelium.succeed("doctor", "--json").data
    found = {each["subject"]: each for each in data["findings"]}
    assert (data["mode"], found["mode"]["says"], data["store"]) == ("sqlite", "sqlite", sqlite_of(project))
    assert found["passed over"]["level"] == "warn"
    assert "it does not answer" in found["passed over"]["says"]
    assert found["configuration"]["says"] == (f"no file at {project}/.mycelium/config.json; variable REDIS_URL")
    assert not (project / ".mycelium").exists()


def test_the_doctor_names_a_redis_that_answers(
    mycelium: Command, project: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setenv("MYCELIUM_BACKEND", "redis")
    configure(project, redis={"url": f"redis://:secret@127.0.0.1:{redis.port}"})
    said = mycelium.succeed("doctor", "--json")
    assert (said.data["mode"], said.data["ok"]) == ("redis", True)
    assert said.data["store"] == f"redis://127.0.0.1:{redis.port}/0?namespace=My-project"
    assert "secret" not in said.out
