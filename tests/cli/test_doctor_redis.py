"""What the doctor says of a store in Redis."""

from pathlib import Path

from tests.cli.conftest import Command
from tests.cli.test_doctor import levels
from tests.support.redis import RedisServer, redis_server


def test_a_store_that_is_well(mycelium: Command, redis: RedisServer) -> None:
    url = redis.url("doctor")
    mycelium.succeed("create", "review", "--backend", url)
    found = levels(mycelium, "--backend", url)
    assert {level for level, _, _ in found.values()} == {"ok"}
    assert found["content"][1] == "1 tasks, 0 agents, 0 workflows, 1 events"
    assert found["persistence"][1] == "append-only file"
    assert found["mode"][1] == "redis"
    assert found["store"][1] == f"redis://127.0.0.1:{redis.port}/0?namespace=doctor: you named it"
    assert found["schema"][1] == "2"


def test_looking_makes_no_store(mycelium: Command, redis: RedisServer) -> None:
    url = redis.url("looked-at")
    levels(mycelium, "--backend", url)
    mycelium("tasks", "--backend", url)
    with redis.plain() as plain:
        assert plain.keys("{looked-at}:*") == []


def test_a_server_that_may_lose_what_it_keeps(mycelium: Command, tmp_path: Path, redis: RedisServer) -> None:
    options = ["--appendonly", "no", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    with redis_server(tmp_path / "own", *options) as server:
        found = levels(mycelium, "--backend", server.url(), code=1)
        assert found["persistence"][0] == "warn"
        assert "appendonly" in found["persistence"][2]
        assert found["eviction"][0] == "fail"
        assert "noeviction" in found["eviction"][2]


def test_a_server_that_is_away(mycelium: Command, tmp_path: Path, redis: RedisServer) -> None:
    with redis_server(tmp_path / "own") as server:
        url = server.url()
    found = levels(mycelium, "--backend", url, code=1)
    assert found["server"][0] == "fail"
    assert found["server"][2]
    assert mycelium("doctor", "--json", "--backend", url).data["exists"] is None


def test_a_reader_is_told_that_the_server_is_away_and_not_that_there_is_no_store(
    mycelium: Command, tmp_path: Path, redis: RedisServer
) -> None:
    with redis_server(tmp_path / "own") as server:
        url = server.url(retry_attempts=0)
    for words in (["tasks"], ["stats"], ["export"], ["cancel", "t-1"], ["events"]):
        said = mycelium.fail(3, *words, "--backend", url)
        assert said.startswith("backend_unavailable:")
        assert "is not available" in said


def test_a_store_of_a_newer_schema(mycelium: Command, redis: RedisServer) -> None:
    with redis.plain() as plain:
        plain.hset("{newer}:store:meta", "schema", "99")
    found = levels(mycelium, "--backend", redis.url("newer"), code=1)
    assert found["schema"][0] == "fail"
