"""`mycelium config` tells what is in force and who says so; `--set` and `--config` go over it."""

import json
from pathlib import Path

import pytest

from mycelium.settings import settings
from tests.cli.conftest import Command


@pytest.fixture
def config(mycelium: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in a project, with nothing set."""
    monkeypatch.delenv("MYCELIUM_BACKEND")
    Path(".mycelium").mkdir()
    return mycelium


def write(**coordination: object) -> Path:
    file = Path.cwd() / ".mycelium" / "config.json"
    file.write_text(json.dumps({"coordination": coordination}))
    return file


def rows(config: Command, *args: str) -> dict[str, tuple[str, str]]:
    """By setting: the value, and where it comes from."""
    return {name: (value, said_by) for name, value, said_by in config.succeed(*args).rows}


def test_every_setting_is_shown_with_where_it_comes_from(config: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(mode="redis", redis={"retry_attempts": 7})
    monkeypatch.setenv("REDIS_DB", "3")
    shown = rows(config, "--set", "coordination.redis.retry_delay_ms=5", "config")
    assert list(shown) == ["backend", *settings()]
    assert shown["backend"] == ("auto", "default")
    assert shown["coordination.mode"] == ("redis", f"file {file}")
    assert shown["coordination.redis.retry_attempts"] == ("7", f"file {file}")
    assert shown["coordination.redis.db"] == ("3", "variable REDIS_DB")
    assert shown["coordination.redis.retry_delay_ms"] == ("5", "flag --set")
    assert shown["coordination.redis.namespace"] == ("here", "default")
    assert shown["coordination.redis.connection_timeout_seconds"] == ("5", "default")
    assert shown["coordination.redis.password"] == ("", "default")


def test_programs_get_json(config: Command) -> None:
    file = write(taskqueue={"max_tasks": 5})
    data = config.succeed("config", "--json").data
    assert (data["backend"], data["file"], data["file_exists"]) == (
        {"value": "auto", "from": "default"},
        str(file),
        True,
    )
    assert data["settings"]["coordination.taskqueue.max_tasks"] == {"value": 5, "from": f"file {file}"}
    assert data["settings"]["coordination.redis.password"] == {"value": None, "from": "default"}


def test_passwords_are_hidden(config: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    write(redis={"url": "redis://ada:hunter2@host:6379", "password": "hunter2"})
    monkeypatch.setenv("REDIS_PASSWORD", "hunter2")
    for args in (["config"], ["config", "--json"], ["config", "--backend", "redis://:hunter2@host"]):
        assert "hunter2" not in config.succeed(*args).out
    assert rows(config, "config")["coordination.redis.url"][0] == "redis://ada:***@host:6379"
    assert rows(config, "config")["coordination.redis.password"] == ("***", "variable REDIS_PASSWORD")


def test_it_says_who_named_the_backend(config: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = rows(config, "config", "-b", "sqlite")
    assert (shown["backend"], shown["coordination.mode"]) == (
        ("sqlite", "flag --backend"),
        ("sqlite", "flag --backend or --set"),
    )
    monkeypatch.setenv("MYCELIUM_BACKEND", "sqlite:///team.db")
    assert rows(config, "config")["backend"] == ("sqlite:///team.db", "variable MYCELIUM_BACKEND")


def test_it_makes_no_store(config: Command) -> None:
    config.succeed("config")
    assert not list(Path(".mycelium").iterdir())


def test_flags_before_the_command_choose_the_store(config: Command) -> None:
    write(mode="redis")
    made = config.succeed(
        "--set", "coordination.mode=taskqueue", "--set", "coordination.taskqueue.max_tasks=1", "create", "x"
    )
    assert made.out
    stats = dict(config.succeed("--set", "coordination.mode=taskqueue", "stats").rows)
    assert stats["mode"] == "taskqueue"
    assert stats["tasks"] == "1 pending"


def test_another_file_can_be_named(config: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    write(mode="redis")
    file = Path.cwd() / "team.json"
    file.write_text('{"coordination": {"mode": "sqlite"}}')
    assert rows(config, "--config", "team.json", "config")["coordination.mode"] == ("sqlite", f"file {file}")
    monkeypatch.setenv("MYCELIUM_CONFIG", "team.json")
    assert rows(config, "config")["coordination.mode"] == ("sqlite", f"file {file}")
    monkeypatch.setenv("MYCELIUM_BACKEND", "sqlite:///x.db")
    config.succeed("create", "x")  # the variable does not stand in the way of a URL


def test_a_wrong_configuration_stops_every_command_that_asks_it(config: Command) -> None:
    file = write(redis={"uri": "redis://x"})
    said = f"invalid_config: file {file}: coordination.redis.uri: no such setting. "
    for command in (["config"], ["tasks"], ["create", "x"]):
        assert config.fail(2, *command).startswith(said)
    config.succeed("create", "x", "--backend", "sqlite:///x.db")


def test_the_doctor_names_what_is_wrong_with_it(config: Command) -> None:
    file = write(redis={"uri": "redis://x"})
    said = config("doctor", "--json")
    (failed,) = [each for each in said.data["findings"] if each["level"] == "fail"]
    assert (said.code, failed["subject"]) == (1, "configuration")
    assert f"{file}: coordination.redis.uri" in failed["says"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--set", "x", "config"], "value for --set: wanted is NAME=VALUE, not 'x'"),
        (["--set", "=1", "config"], "value for --set: wanted is NAME=VALUE, not '=1'"),
        (["--set", "coordination.redis.db", "tasks"], "value for --set: wanted is NAME=VALUE"),
        (["--set", "config=/nope", "tasks"], "value for --set: there is no setting 'config'"),
        (
            ["--set", "coordination.mode=auto", "config", "-b", "sqlite:///x.db"],
            "value for --set: a URL names the store",
        ),
        (["--set", "coordination.mode=auto", "config", "-b", "redis"], "value for --set coordination.mode: beside the"),
        (["--set", "redis.db=1", "config"], "flag --set: there is no setting 'redis.db'"),
        (["--set", "coordination.redis.db=x", "config"], "flag --set: coordination.redis.db"),
        (["--set", "coordination.mode=x", "config"], "flag --backend or --set: coordination.mode"),
        (["--config", "nowhere.json", "config"], "nowhere.json: No such file"),
        (["config", "-b", "oracle"], "'oracle' names no store"),
    ],
)
def test_flags_that_make_no_sense(config: Command, args: list[str], said: str) -> None:
    code = 3 if "oracle" in args else 2
    told = config.fail(code, *args)
    assert said in told
    assert "MYCELIUM_BACKEND" not in told


def test_it_shows_what_the_address_of_redis_says_and_refuses_what_contradicts_it(
    config: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@h/3")
    shown = rows(config, "config")
    assert shown["coordination.redis.db"] == ("3", "variable REDIS_URL")
    assert shown["coordination.redis.password"] == ("***", "variable REDIS_URL")
    monkeypatch.setenv("REDIS_DB", "2")
    assert "is another than the one in coordination.redis.url" in config.fail(2, "config")
