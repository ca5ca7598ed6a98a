"""`mycelium topology` and `mycelium dead-letters`, against a real node."""

import socket
from contextlib import closing

import pika
import pytest
from anyio import to_thread

from mycelium import Mycelium
from mycelium_messaging.differences import Difference
from mycelium_messaging.letter import Letter
from mycelium_messaging.survey import Standing
from mycelium_server.cli.broker import of_letters, of_topology
from tests.cli.conftest import Command, Said
from tests.support.rabbitmq import Names

VARIABLES = ("HOST", "PORT", "EXCHANGE", "QUEUE_PREFIX")


@pytest.fixture
def command(mycelium: Command, corner: Names, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with the test's own corner of the node as its configuration."""
    values = ("127.0.0.1", str(corner.server.port), corner.name, corner.name)
    for variable, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(f"RABBITMQ_{variable}", value)
    return mycelium


def send(corner: Names, routing_key: str, body: bytes, message_id: str | None, exchange: str | None = None) -> None:
    """What another program sends."""
    with closing(corner.server.plain()) as connection:
        properties = pika.BasicProperties(message_id=message_id, expiration="1")
        connection.channel().basic_publish(corner.name if exchange is None else exchange, routing_key, body, properties)


def wait_for_letters(command: Command, count: int) -> None:
    """A quorum queue looks at its first message's age in its own time."""
    while command.succeed("dead-letters", "--json").data["total"] != count:
        pass


def test_without_a_host_it_says_how_to_name_one(mycelium: Command) -> None:
    for words in (["topology"], ["dead-letters"]):
        assert mycelium.fail(2, *words).endswith("Set RABBITMQ_HOST, or rabbitmq.host in .mycelium/config.json.")


def test_nothing_is_there_until_it_is_declared(command: Command, corner: Names) -> None:
    said = command("topology", "--json")
    assert said.code == 1
    assert {each["state"] for each in said.data["queues"]} == {"missing"}
    assert "--declare" in said.data["queues"][0]["remedy"]
    made = command.succeed("topology", "--declare")
    assert {row[5] for row in made.rows} == {"ok"}
    found = {row[0]: row for row in made.rows}
    assert found[f"{corner.name}.agent_tasks"][1:5] == ["quorum", "task.created", "0", "0"]
    assert len(made.rows) == 10
    assert command.succeed("topology", "--json").data["ok"]


def test_every_difference_is_named_with_what_to_do(command: Command, corner: Names) -> None:
    command.succeed("topology", "--declare")
    other = ["--set", "rabbitmq.message_ttl_seconds=60", "--set", "rabbitmq.max_length=7", "topology", "--json"]
    said = command(*other)
    assert said.code == 1
    (tasks,) = [each for each in said.data["queues"] if each["name"] == f"{corner.name}.agent_tasks"]
    assert tasks["state"] == "differs"
    differences = {each["argument"]: (each["wanted"], each["found"]) for each in tasks["differences"]}
    assert differences == {"x-message-ttl": ("60000", "3600000"), "x-max-length": ("7", "10000")}
    assert "rabbitmq.message_ttl_seconds" in tasks["remedy"]
    assert "rabbitmq.max_length" in tasks["remedy"]


def test_queues_of_the_other_kind_and_how_to_be_rid_of_them(command: Command, corner: Names) -> None:
    command.succeed("topology", "--declare")
    with closing(corner.server.plain()) as connection:
        connection.channel().basic_publish(corner.name, "task.completed", b"")
    classic = ["--set", "rabbitmq.queue_type=classic", "topology"]
    plain, declaring = command(*classic, "--json"), command(*classic, "--declare", "--json")
    assert (plain.code, declaring.code, plain.data) == (1, 1, declaring.data)
    queues = plain.data["queues"]
    remedies = {each["name"].removeprefix(f"{corner.name}."): each["remedy"] for each in queues}
    assert all("rabbitmq.queue_type to match" in remedy for remedy in remedies.values())
    assert remedies["agent_tasks"].startswith("It is empty: delete it (`rabbitmqctl delete_queue ")
    assert remedies["agent_responses"].startswith("Delete it once nothing waits there any more, 1 now")


def test_a_queue_of_another_program_is_compared_too(command: Command, corner: Names) -> None:
    with closing(corner.server.plain()) as connection:
        connection.channel().queue_declare(f"{corner.name}.agent_tasks", durable=True)
        connection.channel().exchange_declare(corner.name, "fanout", durable=True)
    said = command("topology", "--json").data
    assert said["exchanges"][0]["state"] == "differs"
    (tasks,) = [each for each in said["queues"] if each["name"] == f"{corner.name}.agent_tasks"]
    found = {each["argument"]: each["found"] for each in tasks["differences"]}
    assert found["x-queue-type"] == "none"
    assert found["x-max-length"] == "none"
    assert tasks["remedy"].endswith("makes it anew.")  # no setting does without dead letters
    declared = command("topology", "--declare")
    assert declared.code == 1
    states = {row[0].removeprefix(corner.name): row[5] for row in declared.rows}
    assert {name for name, state in states.items() if state == "differs"} == {"", ".agent_tasks"}
    assert {*states.values()} == {"differs", "ok"}


def test_a_queue_without_durability_differs(command: Command, corner: Names) -> None:
    with closing(corner.server.plain()) as connection:
        connection.channel().queue_declare(f"{corner.name}.agent_tasks", durable=False)
    (tasks,) = [each for each in command("topology", "--json").data["queues"] if each["name"].endswith("agent_tasks")]
    assert [each["argument"] for each in tasks["differences"]] == ["durable"]


def test_a_broker_that_is_away_or_refuses_is_told_once(
    command: Command, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RABBITMQ_PASSWORD", "sesame-7")
    for words in (["topology"], ["dead-letters"]):
        line = command.fail(3, *words)
        assert line.startswith("broker_refused:")
        assert "sesame-7" not in line
    monkeypatch.setenv("RABBITMQ_PORT", "1")
    for words in (["topology"], ["topology", "--declare"], ["dead-letters", "replay", "--all"]):
        assert command.fail(3, *words).startswith("broker_unavailable:")
    assert not caplog.records  # which would be on stderr, too, and says that it tries again


def test_letters_stay_where_they_are_until_they_are_replayed_or_dropped(command: Command, corner: Names) -> None:
    command.succeed("topology", "--declare")
    assert command.succeed("dead-letters").rows == []
    send(corner, "task.created", b'{"n": 1}', "m-1")
    wait_for_letters(command, 1)
    send(corner, "task.created", b'{"n": 2}', "m-2")
    wait_for_letters(command, 2)
    for _ in range(3):
        rows = command.succeed("dead-letters").rows
        assert [row[:2] for row in rows] == [["m-1", "expired"], ["m-2", "expired"]]
    said = command.succeed("dead-letters", "--limit", "1", "--json").data
    assert (said["total"], said["reasons"], len(said["letters"])) == (2, {"expired": 2}, 1)
    shown = dict(command.succeed("dead-letters", "show", "m-2").rows)
    assert (shown["begins"], shown["routing key"]) == ('{"n": 2}', "task.created")
    assert command.succeed("dead-letters", "replay", "m-2").rows[0][0] == "m-2"
    (letter,) = command.succeed("dead-letters", "--json").data["letters"]
    assert letter["id"] == "m-1"
    with closing(corner.server.plain()) as connection:
        _, properties, body = connection.channel().basic_get(f"{corner.name}.agent_tasks", auto_ack=True)
    assert (body, properties.message_id) == (b'{"n": 2}', "m-2")
    assert {name for name in properties.headers if name.startswith(("x-mycelium", "x-death"))} == {
        "x-mycelium-replayed"
    }
    assert command.succeed("dead-letters", "drop", "--all").rows[0][0] == "m-1"
    assert command.succeed("dead-letters").rows == []


def test_what_is_asked_for_must_be_clear_and_there(command: Command) -> None:
    command.succeed("topology", "--declare")
    assert "not clear" in command.fail(2, "dead-letters", "drop")
    assert "not clear" in command.fail(2, "dead-letters", "replay", "m-1", "--all")
    assert "not clear" in command.fail(2, "dead-letters", "show")
    assert "no action" in command.fail(2, "dead-letters", "burn")
    assert "mycelium dead-letters show m-1" in command.fail(2, "dead-letters", "list", "m-1")
    for action in ("show", "replay", "drop"):
        assert command.fail(1, "dead-letters", action, "m-1").startswith("not_found:")


def test_people_read_below_the_table_what_differs_and_what_to_do() -> None:
    differs = Difference("q.agent_tasks", "x-max-length", "7", "9", "")
    found = [
        Standing("q.agent_tasks", "quorum", ["task.created"], True, "differs", 0, 0, [differs]),
        *[Standing(f"q.{name}", "quorum", ["#"], True, "missing") for name in ("one", "two")],
    ]
    listing = of_topology(found)
    assert listing.for_people is not None
    assert not any(row[6] or row[7] for row in listing.for_people)
    differs_line, missing_line = listing.more.splitlines()
    assert differs_line.startswith("q.agent_tasks: x-max-length is 9 there, and 7 here. It is empty: delete it")
    assert missing_line == "`mycelium topology --declare` makes what is missing."


def test_people_read_how_many_letters_there_are_and_what_was_done_with_them() -> None:
    letters = [Letter(id=f"m-{number}", reason="expired", queue="q", routing_key="task.created") for number in range(3)]
    assert of_letters(letters, 3).more == "3 expired."
    assert of_letters(letters, 3, limit=1).more == "1 of 3 letters are shown. 3 expired."
    assert of_letters(letters, 9).more == "3 of 9 letters are shown. Of the first 3: 3 expired."
    assert of_letters(letters, 3, done="Dropped: ").more == "Dropped: 3 expired."
    assert of_letters(letters, 3).for_people == [
        (f"m-{number}", "expired", "", "", "", "", "", "") for number in range(3)
    ]


def test_letters_where_nothing_is_declared(command: Command) -> None:
    assert "--declare" in command.fail(1, "dead-letters")


def test_any_letter_can_be_shown(command: Command, corner: Names) -> None:
    command.succeed("topology", "--declare")
    with closing(corner.server.plain()) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for number in range(1100):
            properties = pika.BasicProperties(message_id=f"m-{number}")
            channel.basic_publish("", f"{corner.name}.dead_letters", b"{}", properties)
    assert command.succeed("dead-letters", "--json").data["total"] == 1100
    command.succeed("dead-letters", "drop", "m-7")
    for name in ("m-1", "m-550", "m-1099"):
        assert dict(command.succeed("dead-letters", "show", name).rows)["letter"] == name


async def test_a_task_that_cannot_begin_anew_keeps_its_letter(command: Command, corner: Names) -> None:
    def bury(task: str) -> None:
        with closing(corner.server.plain()) as connection:
            headers = {"x-mycelium-reason": "task_failed", "x-mycelium-task": task}
            properties = pika.BasicProperties(message_id=f"about-{task}", headers=headers)
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish("", f"{corner.name}.dead_letters", b"{}", properties)

    def replay(*which: str) -> Said:
        return command("dead-letters", "replay", *which)

    await to_thread.run_sync(command.succeed, "topology", "--declare")
    async with Mycelium.open(command.url, agent="ada") as m:
        workflow = await m.create_workflow("release", [{"name": "bad", "max_attempts": 1}, "good"], mode="parallel")
        bad, good = f"{workflow.id}.bad", f"{workflow.id}.good"
        await m.claim_task(bad)
        await m.fail_task(bad, {"error": "no"}, retry=False)
        done = await m.create_task("done")
        await m.claim_task(done.id)
        await m.complete_task(done.id)
        for task in (bad, done.id):
            await to_thread.run_sync(bury, task)
        said = await to_thread.run_sync(replay, f"about-{bad}")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("illegal_transition:")  # the workflow goes on
        said = await to_thread.run_sync(replay, "--all")
        assert (said.code, [row[0] for row in said.rows]) == (1, [f"about-{done.id}"])
        assert said.err.startswith("illegal_transition:")
        await m.claim_task(good)
        await m.complete_task(good)
        said = await to_thread.run_sync(replay, "--all")
        assert (said.code, [row[0] for row in said.rows]) == (0, [f"about-{bad}"])
        assert (await m.get_task(bad)).status == "pending"


def doctor(command: Command, code: int = 0) -> dict[str, tuple[str, str, str]]:
    """By subject: level, what was found, what to do."""
    said = command("doctor", "--json")
    assert said.code == code
    return {each["subject"]: (each["level"], each["says"], each["mend"]) for each in said.data["findings"]}


def test_the_doctor_names_the_broker_and_what_is_used_there(
    command: Command, corner: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    level, says, _ = doctor(command)["RabbitMQ"]
    assert level == "ok"
    assert f"127.0.0.1:{corner.server.port}, exchange {corner.name}, queues {corner.name}.*: it answers" in says
    assert says.endswith("not all of these are there yet")
    assert "missing" in command("topology", "--json").out  # the doctor makes nothing
    command.succeed("topology", "--declare")
    assert doctor(command)["RabbitMQ"][1].endswith("it answers")
    monkeypatch.setenv("MYCELIUM_RABBITMQ_MAX_LENGTH", "7")
    level, _, mend = doctor(command, 1)["RabbitMQ"]
    assert (level, mend) == ("fail", "`mycelium topology` says what to do.")
    monkeypatch.setenv("RABBITMQ_PORT", "1")
    level, says, mend = doctor(command, 1)["RabbitMQ"]
    assert (level, "broker_unavailable" in says, "rabbitmq.port" in mend) == ("fail", True, True)


def test_the_doctor_waits_for_a_silent_broker_only_so_long(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setenv("RABBITMQ_PORT", str(silent.getsockname()[1]))
        monkeypatch.setenv("RABBITMQ_CONNECTION_TIMEOUT", "0.3")
        level, says, _ = doctor(command, 1)["RabbitMQ"]
    assert level == "fail"
    assert "does not answer in time" in says or "no answer within 0.3 s" in says


def test_the_doctor_says_nothing_of_a_broker_that_is_not_configured(mycelium: Command) -> None:
    assert "RabbitMQ" not in doctor(mycelium)
