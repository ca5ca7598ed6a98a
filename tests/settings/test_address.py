"""What Redis's address says beside where it is counts as the settings it stands for, and is shown as such."""

import json
from pathlib import Path

import pytest

from mycelium.errors import InvalidConfig
from mycelium.settings import Configuration, Surroundings, configuration, settings_shown
from mycelium.settings.addresses import IN_QUERY, public, without_password
from mycelium_backends.redis.address import TLS, Settings, parse
from mycelium_backends.redis_url import redis_url


def read(project: Path, flags: dict[str, str] | None = None, **environ: str) -> Configuration:
    return configuration(Surroundings(project, project / "data", environ=environ, flags=flags or {}))


def refused(project: Path, **environ: str) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        read(project, None, **environ)
    return caught.value


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "team" / ".mycelium").mkdir(parents=True)
    return tmp_path / "team"


def configure(project: Path, **redis: object) -> None:
    (project / ".mycelium" / "config.json").write_text(json.dumps({"coordination": {"redis": redis}}))


def shown(found: Configuration) -> dict[str, tuple[object, str]]:
    each = [one for one in settings_shown(found) if one[0].startswith("coordination.")]
    return {name.rpartition(".")[2]: (value, str(origin)) for name, value, origin in each}


def test_what_the_address_says_is_shown_as_in_force_and_from_whoever_said_it(project: Path) -> None:
    url = "redis://:hunter2@h/3?retry_attempts=1&namespace=ours&operation_timeout_seconds=0.5"
    found = shown(read(project, REDIS_URL=url))
    assert {name: value for name, value in found.items() if value[1] == "variable REDIS_URL"} == {
        "url": (url.replace("hunter2", "***"), "variable REDIS_URL"),
        "password": ("***", "variable REDIS_URL"),
        "db": (3, "variable REDIS_URL"),
        "namespace": ("ours", "variable REDIS_URL"),
        "operation_timeout_seconds": (0.5, "variable REDIS_URL"),
        "retry_attempts": (1, "variable REDIS_URL"),
    }


def test_what_is_shown_is_what_opens_the_store(project: Path) -> None:
    configure(project, url="redis://:p%40ss@h/2?retry_attempts=1", retry_delay_ms=7)
    address = parse(redis_url(read(project, {"coordination.redis.retry_attempts": "5"}, REDIS_DB="4")))
    assert (address.password, address.path) == ("p@ss", "4")
    assert (address.settings.retry_attempts, address.settings.retry_delay_ms) == (5, 7)


def test_an_empty_setting_beside_the_address_leaves_the_matter_open(project: Path) -> None:
    configure(project, url="redis://:secret@h?namespace=ours", password=None, namespace=None)
    found = read(project)
    assert (parse(redis_url(found)).password, found.namespace) == ("secret", "ours")


def test_saying_the_same_twice_is_no_contradiction(project: Path) -> None:
    configure(project, url="redis://:p%40ss@h/02?operation_timeout_seconds=2", password="p@ss", db=2)
    assert read(project, REDIS_URL="redis://h/1", REDIS_DB="1").settings.coordination.redis.db == 1
    assert read(project).settings.coordination.redis.db == 2


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ({"REDIS_URL": "redis://h/3", "REDIS_DB": "2"}, "db"),
        ({"REDIS_URL": "redis://:one@h", "MYCELIUM_REDIS_PASSWORD": "two"}, "password"),
        ({"REDIS_URL": "redis://h?retry_attempts=1", "MYCELIUM_REDIS_RETRY_ATTEMPTS": "2"}, "retry_attempts"),
    ],
)
def test_a_contradiction_is_refused_before_anything_is_shown(project: Path, said: dict[str, str], name: str) -> None:
    error = refused(project, **said)
    assert f"coordination.redis.{name} (variable " in error.message
    assert "is another than the one in coordination.redis.url (variable REDIS_URL)" in error.message
    assert error.data["settings"] == [f"coordination.redis.{name}", "coordination.redis.url"]


@pytest.mark.parametrize("url", ["redis+cluster://a,b", "redis+unix:///run/redis.sock"])
def test_where_there_is_but_one_database_no_number_is_taken(project: Path, url: str) -> None:
    assert "has database 0 only" in refused(project, REDIS_URL=url, REDIS_DB="2").message
    assert read(project, REDIS_URL=url, REDIS_DB="0").given("coordination.redis.db")


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("nosuch=x", "behind the ? nothing is called nosuch"),
        ("db=2", "behind the ? nothing is called db"),
        ("password=hunter2", "behind the ? nothing is called password"),
        ("retry_attempts=many", "retry_attempts: input should be a valid integer"),
        ("namespace=", "namespace: "),
        ("hunt@er2", "a ? in the password must be written %3F"),
    ],
)
def test_a_mistake_behind_the_question_mark_is_named_with_its_variable(project: Path, query: str, what: str) -> None:
    error = refused(project, REDIS_URL=f"redis://h?{query}")
    assert error.message.startswith(f"variable REDIS_URL: coordination.redis.url: {what}")
    assert error.data["variable"] == "REDIS_URL"
    assert error.data["settings"] == ["coordination.redis.url"]
    assert "hunt" not in json.dumps(error.as_dict())


def test_the_address_may_say_just_what_the_backend_understands() -> None:
    assert set(IN_QUERY) == {*Settings.model_fields, *TLS}


def test_a_socket_can_be_configured(project: Path) -> None:
    url = redis_url(read(project, REDIS_URL="redis+unix://:secret@/run/redis.sock"))
    assert url.startswith("redis+unix://:secret@/run/redis.sock?namespace=team&")
    assert (parse(url).path, parse(url).password) == ("/run/redis.sock", "secret")
    assert public(url) == "redis+unix:///run/redis.sock?namespace=team"


def test_a_password_anywhere_in_an_address_is_hidden() -> None:
    assert without_password("redis://ada:pw@h/2?x_password=pw&y=1") == "redis://ada:***@h/2?x_password=***&y=1"
