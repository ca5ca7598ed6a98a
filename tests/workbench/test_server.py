"""The workbench as a server: over stdio, in both eras, with its audit, and as the official Inspector sees it."""

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from mcp import MCPError

from mycelium_workbench import Limits
from tests.support.inspector import OK, TOOL_ERROR, Inspector
from tests.support.processes import MYCELIUM, PATIENCE
from tests.workbench.bench import Workbench, serving, working

pytestmark = pytest.mark.anyio
both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])


@both_eras
async def test_six_tools_are_listed_in_few_words(root: Path, mode: str) -> None:
    async with serving(root, mode=mode) as bench:
        tools = (await bench.client.list_tools()).tools
        assert [each.name for each in tools] == [
            "run_command", "read_file", "write_file", "search_files", "analyze_code", "browse_page",
        ]  # fmt: skip
        whole = json.dumps([each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in tools])
        assert len(whole) < 4000
        await bench.ask("write_file", path="a", content="b")
        assert (await bench.refused("read_file", path="../a"))["code"] == "outside_root"


async def test_time_and_network_of_commands_are_listed(root: Path) -> None:
    for network, said in ((False, "At most 7 s; network off."), (True, "At most 7 s; network on.")):
        async with working(root, Limits(seconds=7), network=network) as bench:
            (command,) = [each for each in (await bench.client.list_tools()).tools if each.name == "run_command"]
            assert said in (command.description or "")


async def test_wrong_arguments_are_named(bench: Workbench) -> None:
    error = await bench.refused("read_file", path="a", offset="x", colour=1)
    assert (error["code"], error["fields"]) == ("invalid_input", ["colour", "offset"])
    assert (await bench.refused("read_file"))["fields"] == ["path"]
    assert (await bench.refused("run_command", command="x", seconds=-1))["fields"] == ["seconds"]
    with pytest.raises(MCPError, match="Unknown tool"):
        await bench.call("make_coffee")


async def test_every_call_leaves_a_line_without_contents_and_secrets(bench: Workbench) -> None:
    await bench.ask("write_file", path="a", content="hunter2")
    await bench.ask("analyze_code", code="hunter3 = 1\n")
    await bench.ask("run_command", command="cat", stdin="hunter4")
    await bench.refused("read_file", path="../" + "x" * 1000)
    await bench.refused("browse_page", url="http://hunter5:hunter6@127.0.0.1/?key=hunter7")
    await bench.refused("read_file", wrong=1)
    with pytest.raises(MCPError):
        await bench.call("make_coffee", strong=True)
    every = bench.audited()
    began, lines = every[::2], every[1::2]
    assert [(each["tool"], each["outcome"]) for each in began] == [(each["tool"], "began") for each in lines]
    assert [each["call"] for each in began] == [each["call"] for each in lines]
    assert [(each["tool"], each["outcome"]) for each in lines] == [
        ("write_file", "ok"), ("analyze_code", "ok"), ("run_command", "ok"), ("read_file", "outside_root"),
        ("browse_page", "not_allowed_address"), ("read_file", "invalid_input"), ("make_coffee", "unknown_tool"),
    ]  # fmt: skip
    assert set(began[0]) == {"time", "call", "tool", "arguments", "outcome"}
    assert set(lines[0]) == {"time", "call", "tool", "outcome", "milliseconds", "bytes"}
    assert began[0]["arguments"] == {"path": "a", "content": "(7 characters)"}
    digest = hashlib.sha256(b"hunter4").hexdigest()
    assert began[2]["arguments"] == {"command": "cat", "stdin": f"(7 bytes, SHA-256 {digest})"}
    assert all(len(json.dumps(each)) < 1000 for each in every)
    assert "hunter" not in json.dumps(every)


async def test_commands_are_noted_whole_up_to_a_length(bench: Workbench) -> None:
    short, long = f"true {'x' * 3900}", f"true {'y' * 5000}"
    for command in (short, long):
        await bench.ask("run_command", command=command)
    noted = [each["arguments"]["command"] for each in bench.audited()[::2]]
    assert noted[0] == short
    assert noted[1] == f"{long[:4000]}… (5005 bytes, SHA-256 {hashlib.sha256(long.encode()).hexdigest()})"


async def test_audit_goes_to_stderr_unless_a_file_is_named(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with working(root) as bench:
        assert bench.audited() == []
    from mcp import Client

    from mycelium_workbench import Settings
    from mycelium_workbench.server import build_server

    async with Client(build_server(Settings(root=root))) as client:
        await client.call_tool("read_file", {"path": "none"})
    outcomes = [json.loads(line)["outcome"] for line in capfd.readouterr().err.splitlines()]
    assert outcomes == ["began", "not_found"]


@pytest.mark.usefixtures("namespaces")
async def test_a_call_that_dies_with_its_workbench_has_left_a_line(root: Path) -> None:
    pid = root.parent / "pid"

    async def call() -> None:
        with pytest.raises(MCPError):
            await bench.call("run_command", command="touch begun; sleep 30")

    async with serving(root, before=("sh", "-c", f'echo $$ > {pid}; exec "$@"', "sh")) as bench:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            with anyio.fail_after(PATIENCE):
                while not (root / "begun").exists():  # noqa: ASYNC110  a file of another process rings no bell
                    await anyio.sleep(0.02)
            os.kill(int(pid.read_text()), signal.SIGKILL)
        (line,) = bench.audited()
    assert (line["outcome"], line["arguments"]["command"]) == ("began", "touch begun; sleep 30")


@pytest.mark.parametrize(
    "flags",
    [
        ["--root", "none"],
        ["--root", "/"],
        ["--allow-host", "nowhere"],
        ["--seconds", "0"],
        ["--audit", "no/such/folder"],
        ["--audit", "inside"],
        ["--root", "work", "--audit", "link"],
        ["--root", "work", "--audit", "into"],
        ["--root", "work", "--audit", "way/file"],
    ],
)
async def test_flags_that_make_no_sense_end_it_with_a_sentence(tmp_path: Path, flags: list[str]) -> None:
    import subprocess

    (tmp_path / "work").mkdir()
    (tmp_path / "elsewhere").touch()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "into").symlink_to("work/file")
    (tmp_path / "way").symlink_to("work")
    done = subprocess.run(  # noqa: ASYNC221  nothing else waits
        [MYCELIUM, "workbench", *flags],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_inspector_finds_nothing_to_blame(inspector: Inspector, root: Path, era: str) -> None:
    server = [str(Path(sys.executable).with_name("mycelium")), "workbench", "--root", str(root)]
    listed = await inspector.list_tools(server, era=era)
    assert (listed.code, listed.findings, len(listed.result["tools"])) == (OK, [], 6)
    analysed = await inspector.call_tool(server, "analyze_code", {"code": "import os\n"}, era=era)
    assert analysed.code == OK
    assert analysed.result["structuredContent"]["findings"][0]["rule"] == "F401"
    assert (await inspector.call_tool(server, "read_file", {"path": ".."}, era=era)).code == TOOL_ERROR
