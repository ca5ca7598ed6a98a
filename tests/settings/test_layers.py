"""Flags over variables over the file over the defaults, and what is wrong is named with its place."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from mycelium.errors import InvalidConfig
from mycelium.models.base import is_id
from mycelium.settings import Configuration, Origin, Surroundings, configuration, settings, settings_shown
from mycelium.settings.file import LARGEST
from mycelium.settings.layers import FLAGS, OURS
from mycelium.settings.origin import flat, nested
from mycelium.settings.project import namespace_of
from mycelium_server.cli.app import app

Read: TypeAlias = Callable[..., Configuration]

SEED = {
    "coordination": {
        "mode": "redis",
        "redis": {
            "url": "redis://localhost:6379",
            "password": None,
            "db": 0,
            "connection_timeout_seconds": 5,
            "operation_timeout_seconds": 2,
            "retry_attempts": 3,
            "retry_delay_ms": 100,
        },
        "taskqueue": {"poll_interval_ms": 1000, "max_tasks": 100, "task_timeout_seconds": 300},
        "markdown": {"folder": ".claude/coordination"},
    }
}
"""The file as people know it."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".mycelium").mkdir(parents=True)
    return folder


@pytest.fixture
def file(project: Path) -> Path:
    return project / ".mycelium" / "config.json"


@pytest.fixture
def read(project: Path) -> Read:
    """Reads what is in force in the project, under these variables."""

    def read(flags: dict[str, str] | None = None, **environ: str) -> Configuration:
        return configuration(Surroundings(project, project.parent / "data", environ=environ, flags=flags or {}))

    return read


def refused(read: Read, **environ: str) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        read(**environ)
    assert caught.value.hint
    json.dumps(caught.value.as_dict())
    return caught.value


def test_without_anything_every_setting_has_its_default(read: Read) -> None:
    shown = {name: (value, str(origin)) for name, value, origin in settings_shown(read())}
    assert {origin for _, origin in shown.values()} == {"default"}
    assert shown["coordination.mode"][0] == "auto"
    assert shown["coordination.redis.namespace"][0] == "project"
    assert shown.keys() == settings().keys()


def test_the_file_as_people_know_it_is_taken(read: Read, file: Path) -> None:
    file.write_text(json.dumps(SEED))
    found = read()
    assert {name: str(origin) for name, origin in found.origins.items()} == dict.fromkeys(flat(SEED), f"file {file}")
    assert found.settings.coordination.redis.operation_timeout_seconds == 2


def test_variables_go_over_the_file_and_flags_over_variables(read: Read, file: Path) -> None:
    file.write_text(json.dumps({"coordination": {"redis": {"db": 1, "retry_attempts": 1, "retry_delay_ms": 1}}}))
    found = read({"coordination.redis.retry_delay_ms": "3"}, REDIS_DB="2", MYCELIUM_REDIS_RETRY_DELAY_MS="2")
    redis = found.settings.coordination.redis
    assert (redis.retry_attempts, redis.db, redis.retry_delay_ms) == (1, 2, 3)
    assert found.origin("coordination.redis.retry_attempts") == Origin("file", str(file))
    assert found.origin("coordination.redis.db") == Origin("variable", "REDIS_DB")
    assert found.origin("coordination.redis.retry_delay_ms") == Origin("flag", "--set")


@pytest.mark.parametrize("name", settings())
def test_every_setting_has_a_variable_of_its_own(read: Read, name: str) -> None:
    first, *_ = variables = settings()[name].variables
    assert first == f"MYCELIUM_{name.removeprefix('coordination.').upper().replace('.', '_')}"
    texts = {"mode": "sqlite", "url": "rediss://there", "password": "pw", "folder": "x", "tools": "all", "tls": "true"}
    texts |= {"swarm_mode": "true", "provider": "openai", "queue_type": "classic", "effort": "low"}
    texts |= {"base_url": "http://there:8080/v1"}
    value = texts.get(name.rpartition(".")[2], "11")
    for variable in variables:
        said = "enabled" if variable == "TASKQUEUE_MODE" else value
        assert read(**{variable: said}).origin(name) == Origin("variable", variable)


def test_mycelium_s_own_variable_goes_before_one_that_others_share(read: Read) -> None:
    found = read(REDIS_URL="redis://theirs", MYCELIUM_REDIS_URL="redis://ours")
    assert found.settings.coordination.redis.url == "redis://ours"
    assert found.origin("coordination.redis.url") == Origin("variable", "MYCELIUM_REDIS_URL")


def test_an_empty_variable_says_nothing(read: Read) -> None:
    assert not read(REDIS_PASSWORD="", REDIS_DB="", MYCELIUM_MODE="", TASKQUEUE_MODE="", MYCELIUM_CONFIG="").origins


@pytest.mark.parametrize(("said", "mode"), [("enabled", "taskqueue"), ("TRUE", "taskqueue"), ("disabled", "auto")])
def test_the_switch_for_task_queues(read: Read, said: str, mode: str) -> None:
    assert read(TASKQUEUE_MODE=said).settings.coordination.mode == mode


def test_another_file_can_be_named_from_where_one_stands(read: Read, project: Path) -> None:
    (project / "team.json").write_text('{"coordination": {"mode": "sqlite"}}')
    found = read(MYCELIUM_CONFIG="team.json")
    assert (found.file, found.settings.coordination.mode) == (project / "team.json", "sqlite")


def test_outside_a_project_the_file_lies_in_the_users_own_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"coordination": {"mode": "sqlite"}}')
    found = configuration(Surroundings(Path("/"), tmp_path))
    assert (found.settings.coordination.mode, found.namespace) == ("sqlite", "mycelium")


@pytest.mark.parametrize(
    ("said", "where", "what"),
    [
        ({"cordination": {}}, "cordination", "no such setting"),
        ({"coordination": {"redis": {"uri": "redis://x"}}}, "coordination.redis.uri", "no such setting"),
        ({"coordination": {"redis": {"db": "0"}}}, "coordination.redis.db", "valid integer"),
        ({"coordination": {"redis": {"db": True}}}, "coordination.redis.db", "valid integer"),
        ({"coordination": {"redis": {"db": -1}}}, "coordination.redis.db", "greater than or equal to 0"),
        ({"coordination": {"redis": {"db": 1.5}}}, "coordination.redis.db", "valid integer"),
        ({"coordination": {"redis": {"password": 5}}}, "coordination.redis.password", "valid string"),
        ({"coordination": {"redis": {"namespace": "a b"}}}, "coordination.redis.namespace", "not a valid id"),
        ({"coordination": {"redis": {"url": "http://x"}}}, "coordination.redis.url", "must begin with redis://"),
        ({"coordination": {"redis": []}}, "coordination.redis", "object"),
        ({"coordination": {"mode": "rediss"}}, "coordination.mode", "'auto', 'redis'"),
        ({"coordination": {"taskqueue": {"max_tasks": 0}}}, "coordination.taskqueue.max_tasks", "greater than"),
        ({"coordination": {"markdown": {"folder": ""}}}, "coordination.markdown.folder", "at least 1"),
        (
            {"coordination": {"markdown": {"folder": "~no-such-user/x"}}},
            "coordination.markdown.folder",
            "no home folder",
        ),
        ({"coordination": {"redis": {"retry_delay_ms": None}}}, "coordination.redis.retry_delay_ms", "valid integer"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_key_and_the_file(
    read: Read, file: Path, said: object, where: str, what: str
) -> None:
    file.write_text(json.dumps(said))
    error = refused(read, MYCELIUM_REDIS_DB="1")  # what is overridden has to be right, too
    assert error.message.startswith(f"file {file}: {where}: ")
    assert what in error.message
    assert (error.data["file"], error.data["settings"]) == (str(file), [where])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "5", '{"coordination": }', "\x00", '{"a": 1} x'])
def test_a_file_that_is_no_json_object_is_refused(read: Read, file: Path, text: str) -> None:
    file.write_text(text)
    assert refused(read).message.startswith(f"file {file}: ")


def test_a_file_in_another_encoding_is_refused_and_a_byte_order_mark_is_not(read: Read, file: Path) -> None:
    file.write_bytes('{"coordination": {"redis": {"password": "ü"}}}'.encode("latin-1"))
    assert str(file) in refused(read).message
    file.write_bytes(b'\xef\xbb\xbf{"coordination": {"mode": "sqlite"}}')
    assert read().settings.coordination.mode == "sqlite"


def test_a_folder_in_its_place_is_refused(read: Read, file: Path) -> None:
    file.mkdir()
    assert refused(read).message == f"file {file}: Is a directory."


def test_a_pipe_in_its_place_is_refused_and_not_waited_for(read: Read, file: Path) -> None:
    os.mkfifo(file)
    assert refused(read).message == f"file {file}: not an ordinary file."


def test_a_device_or_a_huge_file_in_its_place_is_refused_and_not_read(read: Read, file: Path) -> None:
    file.symlink_to("/dev/zero")
    assert refused(read).message == f"file {file}: not an ordinary file."
    file.unlink()
    file.write_bytes(b" " * LARGEST + b"{}")
    assert refused(read).message == f"file {file}: larger than 1024 KiB."


def test_a_link_in_its_place_has_to_lead_to_a_file(read: Read, file: Path) -> None:
    file.symlink_to(file.with_name("team.json"))
    assert refused(read).message == f"file {file}: a link that leads nowhere."
    file.with_name("team.json").write_text('{"coordination": {"mode": "sqlite"}}')
    assert read().settings.coordination.mode == "sqlite"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"coordination": {"mode": "redis", "mode": "markdown"}}', "mode"),
        ('{"coordination": {"redis": {"db": 1, "retry_attempts": 1, "db": 1}}}', "db"),
        ('{"coordination": {"mode": "redis"}, "coordination": {}}', "coordination"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_since_only_one_could_count(
    read: Read, file: Path, text: str, key: str
) -> None:
    file.write_text(text)
    error = refused(read)
    assert error.message == f"file {file}: {key!r} is there more than once."
    assert error.data["file"] == str(file)


@pytest.mark.parametrize("name", ["nowhere.json", "nowhere/config.json", "x\0y"])
def test_a_file_that_was_named_has_to_be_there(read: Read, project: Path, name: str) -> None:
    error = refused(read, MYCELIUM_CONFIG=name)
    assert error.data["file"] == str(project / name)


def test_many_mistakes_are_told_at_once_but_not_without_end(read: Read, file: Path) -> None:
    file.write_text(json.dumps({"coordination": {f"x{number}": 1 for number in range(100)}}))
    error = refused(read)
    assert error.message.count("no such setting") == 5
    assert error.message.endswith("and 95 more.")


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("REDIS_DB", "zero"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://h:port"),
        ("REDIS_URL", "redis://h:0"),
        ("REDIS_URL", "redis://[::1"),
        ("REDIS_URL", "redis://a,b"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://h/name"),
        ("REDIS_URL", "redis://h/0#x"),
        ("REDIS_URL", "redis+sentinel://h"),
        ("REDIS_URL", "redis+unix://h/run/redis.sock"),
        ("REDIS_URL", "redis+unix:///"),
        ("MYCELIUM_MODE", "best"),
        ("TASKQUEUE_POLL_INTERVAL", "1"),
        ("MYCELIUM_REDIS_OPERATION_TIMEOUT_SECONDS", "nan"),
        ("MYCELIUM_REDIS_OPERATION_TIMEOUT_SECONDS", "0"),
        ("MYCELIUM_REDIS_OPERATION_TIMEOUT_SECONDS", "1e9"),
    ],
)
def test_a_mistake_in_a_variable_is_named_with_it(read: Read, variable: str, said: str) -> None:
    error = refused(read, **{variable: said})
    assert error.message.startswith(f"variable {variable}: coordination.")
    assert error.data["variable"] == variable


@pytest.mark.parametrize("said", ["foo", "localhost:11434/v1", "ftp://h", "http://", "http://h:port", "http://a b"])
@pytest.mark.parametrize(
    ("variable", "name"), [("ANTHROPIC_BASE_URL", "claude.base_url"), ("OPENAI_BASE_URL", "openai.base_url")]
)
def test_an_address_of_a_model_that_is_none_is_named_with_its_variable(
    read: Read, variable: str, name: str, said: str
) -> None:
    error = refused(read, **{variable: said})
    assert error.message == f"variable {variable}: {name}: must be a whole http:// or https:// address."


def test_a_switch_that_is_neither_on_nor_off_is_refused(read: Read) -> None:
    error = refused(read, TASKQUEUE_MODE="perhaps")
    assert error.data == {"variable": "TASKQUEUE_MODE"}
    assert "unset it" in error.hint, "beside a MYCELIUM_MODE it would still be refused"


def test_two_variables_that_contradict_each_other_are_refused(read: Read) -> None:
    error = refused(read, TASKQUEUE_MODE="enabled", MYCELIUM_MODE="redis")
    assert error.data == {"variables": ["MYCELIUM_MODE", "TASKQUEUE_MODE"]}
    assert read(TASKQUEUE_MODE="enabled", MYCELIUM_MODE="taskqueue").settings.coordination.mode == "taskqueue"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("MYCELIUM_TASKQUEUE_MX", "MYCELIUM_TASKQUEUE_MAX_TASKS"),
        ("MYCELIUM_REDIS_PASWORD", "MYCELIUM_REDIS_PASSWORD"),
        ("MYCELIUM_MARKDOWN_DIR", "MYCELIUM_MARKDOWN_FOLDER"),
        ("MYCELIUM_RABBITMQ_HOTS", "MYCELIUM_RABBITMQ_HOST"),
        ("MYCELIUM_WORKER_CONCURENCY", "MYCELIUM_WORKER_CONCURRENCY"),
        ("MYCELIUM_WORKER_HEALTHPORT", "MYCELIUM_WORKER_HEALTH_PORT"),
        ("MYCELIUM_CLAUDE_KEY", "MYCELIUM_CLAUDE_API_KEY"),
        ("MYCELIUM_OPENAI_MODL", "MYCELIUM_OPENAI_MODEL"),
    ],
)
def test_a_variable_that_sets_nothing_is_refused_with_the_nearest_that_does(
    read: Read, variable: str, nearest: str
) -> None:
    error = refused(read, **{variable: "hunter2"})
    assert error.data == {"variable": variable}
    assert f"Did you mean {nearest}?" in error.hint
    assert "hunter2" not in json.dumps(error.as_dict())
    assert not read(**{variable: ""}).origins


def test_a_variable_of_a_flag_of_the_worker_is_none_that_sets_nothing(read: Read) -> None:
    worker = cast("Any", typer.main.get_command(app)).commands["worker"]
    flags = {f"MYCELIUM_WORKER_{param.name}".upper() for param in worker.params if param.envvar is None}
    assert set(FLAGS) == flags - {variable for each in settings().values() for variable in each.variables}
    for flag in flags:
        read(**{flag: "1"})


def test_the_reference_says_which_names_are_looked_at() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert [before for before in OURS if f"`{before}`" not in page] == []


@pytest.mark.parametrize("name", ["redis.db", "coordination", "coordination.redis", "coordination.redis.bd", ""])
def test_a_flag_for_a_setting_that_is_none_is_refused(read: Read, name: str) -> None:
    with pytest.raises(InvalidConfig, match="flag --set: there is no setting"):
        read({name: "1"})


@pytest.mark.parametrize("place", ["password", "url"])
def test_no_error_repeats_what_may_be_a_password(read: Read, file: Path, place: str) -> None:
    said = {"password": {"pw": "hunter2"}, "url": "redis://:hunter2@h:x"}[place]
    file.write_text(json.dumps({"coordination": {"redis": {place: said}}}))
    assert "hunter2" not in json.dumps(refused(read).as_dict())


def test_passwords_are_never_shown(read: Read) -> None:
    found = read(REDIS_URL="redis://ada:hunter2@h:1/2?retry_attempts=1", REDIS_PASSWORD="hunter2")
    shown = {name: value for name, value, _ in settings_shown(found)}
    assert shown["coordination.redis.url"] == "redis://ada:***@h:1/2?retry_attempts=1"
    assert shown["coordination.redis.password"] == "***"
    assert "hunter2" not in repr(found)


@given(st.text(min_size=1, max_size=300).filter(lambda name: "/" not in name and "\0" not in name))
def test_every_folder_s_name_gives_a_namespace(name: str) -> None:
    namespace = namespace_of(Path("/", name))
    assert is_id(namespace)
    assert len(namespace) <= 64


@given(
    st.dictionaries(st.sampled_from(["a.b", "a.c.d", "a.c.e", "f"]), st.one_of(st.integers(), st.text()), max_size=4)
)
def test_nesting_and_flattening_undo_each_other(values: dict[str, object]) -> None:
    assert flat(nested(values)) == values


def test_which_tools_agents_are_offered_is_settled_beside_the_store(file: Path, read: Read) -> None:
    assert read().settings.tools == "core"
    file.write_text(json.dumps({"tools": "all"}))
    assert read().settings.tools == "all"
    assert read(MYCELIUM_TOOLS="core").settings.tools == "core"
    assert str(read(MYCELIUM_TOOLS="core").origin("tools")) == "variable MYCELIUM_TOOLS"
    with pytest.raises(InvalidConfig, match="variable MYCELIUM_TOOLS: tools"):
        read(MYCELIUM_TOOLS="none")
