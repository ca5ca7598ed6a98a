"""The two message examples of the blueprint, word for word, published by a program that has none of our code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio

from tests.network.reading import Reader, publish
from tests.support.model_endpoint import model_endpoint
from tests.support.model_script import Answer, Asked, Say
from tests.support.rabbitmq import Names

MYCELIUM = Path(sys.executable).with_name("mycelium")
PATIENCE = 60.0
"""Seconds: a bound for a broken build, never reached otherwise."""

CODE_ANALYSIS: dict[str, Any] = {
    "id": "task-123",
    "timestamp": "2024-11-01T10:00:00Z",
    "routing_key": "task.created",
    "payload": {
        "task_id": "task-123",
        "type": "code_analysis",
        "code": "python code snippet...",
        "language": "python",
        "analysis_type": "security",
        "agent_id": "computer-specialist-01",
    },
    "source": "mycelial-network",
}
ORCHESTRATION: dict[str, Any] = {
    "id": "coord-456",
    "routing_key": "agent.coordination",
    "payload": {
        "coordination_id": "coord-456",
        "type": "parallel_execution",
        "agents": ["code-developer", "security-analyst", "performance-expert"],
        "tasks": [
            {"id": "task-1", "prompt": "Review code quality..."},
            {"id": "task-2", "prompt": "Check security..."},
            {"id": "task-3", "prompt": "Optimize performance..."},
        ],
    },
}


@contextmanager
def worker(folder: Path, corner: Names, *flags: str, **environ: str) -> Generator[subprocess.Popen[str]]:
    """A worker of the corner's queues alone, told nothing but by the variables that the blueprint names."""
    settings = {
        "RABBITMQ_HOST": "127.0.0.1",
        "RABBITMQ_PORT": str(corner.server.port),
        "RABBITMQ_EXCHANGE": corner.name,
        "RABBITMQ_QUEUE_PREFIX": corner.name,
        "SWARM_MODE": "true",
        "MYCELIUM_BACKEND": f"sqlite:///{folder / 'team.db'}",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        **environ,
    }
    log = (folder / f"worker-{len(list(folder.glob('worker-*')))}.log").open("w")
    with log:
        process = subprocess.Popen([MYCELIUM, "worker", *flags], env=settings, cwd=folder, stderr=log, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


async def until_there(corner: Names) -> None:
    """Return when a worker has declared the topology."""
    await Reader(corner).until_consumed("agent_tasks")


async def test_a_code_analysis_is_answered_to_the_letter(tmp_path: Path, corner: Names) -> None:
    with worker(tmp_path, corner, "--agent", "computer-specialist-01"):
        await until_there(corner)
        await publish(corner, "task.created", CODE_ANALYSIS)
        message = await Reader(corner).one("agent_responses", PATIENCE)
    assert message.routing_key == "task.completed"
    answer = message.json
    assert list(answer) == ["task_id", "type", "status", "analysis_type", "response", "timestamp"]
    assert (answer["task_id"], answer["type"], answer["status"]) == ("task-123", "code_analysis_result", "completed")
    assert answer["analysis_type"] == "security"
    text, use = answer["response"]
    assert text["type"] == "text"
    assert text["text"]
    assert (use["type"], use["name"]) == ("tool_use", "code_analyzer")
    assert use["results"]["findings"][0]["rule"] == "invalid-syntax"  # a snippet is no Python


def review(asked: Asked) -> Answer:
    """What the model says: the prompt that it was given, so that answers can be told."""
    prompt = json.dumps(asked.body["messages"])
    wanted = next(each for each in ("quality", "security", "performance") if each in prompt)
    return Answer([Say(f"Looked at {wanted}.")])


async def test_an_orchestration_is_done_side_by_side_reported_and_answered(tmp_path: Path, corner: Names) -> None:
    flags = [flag for name in ORCHESTRATION["payload"]["agents"] for flag in ("--capability", name)]
    async with model_endpoint(review) as endpoint:
        model = {"ANTHROPIC_API_KEY": "test", "ANTHROPIC_BASE_URL": endpoint.url}
        with worker(tmp_path, corner, *flags, **model), worker(tmp_path, corner, *flags, **model):
            await until_there(corner)
            await publish(corner, "agent.coordination", ORCHESTRATION)
            reader = Reader(corner)
            with anyio.fail_after(PATIENCE):
                answers = [(await reader.one("agent_responses")).json for _ in range(3)]
                reports: list[dict[str, Any]] = []
                while not reports or reports[-1].get("status") != "completed" or "results" not in reports[-1]:
                    reports.append((await reader.one("agent_coordination")).json["payload"])
    texts = {each["task_id"]: each["response"][0]["text"] for each in answers}
    assert texts == {
        "task-1": "Looked at quality.", "task-2": "Looked at security.", "task-3": "Looked at performance.",
    }  # fmt: skip
    assert {each["status"] for each in answers} == {"completed"}
    assert {each["coordination_id"] for each in answers} == {"coord-456"}
    assert reports[0] == ORCHESTRATION["payload"]  # the queue holds the whole conversation
    assert reports[1] == {"coordination_id": "coord-456", "type": "coordination_status", "status": "accepted"}
    done = [each["task_id"] for each in reports if each["type"] == "task_status" and each["status"] == "completed"]
    assert sorted(done) == ["task-1", "task-2", "task-3"]
    assert [each["task_id"] for each in reports[-1]["results"]] == ["task-1", "task-2", "task-3"]


async def test_nobody_of_that_name_is_said_not_waited_for(tmp_path: Path, corner: Names) -> None:
    with worker(tmp_path, corner, "--agent", "somebody-else"):
        await until_there(corner)
        await publish(corner, "task.created", CODE_ANALYSIS)
        letter = await Reader(corner).one("dead_letters", PATIENCE)
    assert letter.headers["x-mycelium-reason"] == "unknown_agent"
