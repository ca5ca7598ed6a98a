"""What the server itself runs, where it lies in the folder that is worked in."""

import os
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from mycelium_workbench.errors import InvalidInput
from mycelium_workbench.own import below, forget_imports_from, in_reach, search_path
from tests.workbench.bench import Workbench

pytestmark = pytest.mark.anyio
REPO = Path(__file__).parents[2]
ROOMS = (REPO, REPO / "backends", REPO / "messaging", REPO / "server", REPO / "tools", REPO / "worker")

ATTACKS = (
    "echo evil > .venv/lib/made.pth",
    "mkdir .venv/lib/made",
    "echo evil >> .venv/pyvenv.cfg",
    "rm -f .venv/bin/python",
    "chmod 777 .venv",
    "mv .venv other",
    "rm -rf .venv",
    "ln -sfn /tmp .venv",
    "echo evil > other/deep/code/made.py",
    "mv other/deep other/gone",
    "mv other gone",
)


@pytest.mark.usefixtures("namespaces")
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
async def test_commands_cannot_change_what_the_server_runs(root: Path) -> None:
    """In a project with its `.venv` inside, and with code on its path in another folder."""
    code = root / "other/deep/code"
    code.mkdir(parents=True)
    venv.create(root / ".venv", symlinks=True)
    packages = next((root / ".venv/lib").glob("python*/site-packages"))
    lines = [sysconfig.get_path("purelib"), *map(str, ROOMS), str(code)]
    (packages / "rooms.pth").write_text("\n".join(lines))
    before = sorted(map(str, (root / ".venv").rglob("*")))
    words = ["-P", "-m", "mycelium_server", "workbench", "--root", str(root), "--audit", str(root.parent / "audit")]
    server = StdioServerParameters(command=str(root / ".venv/bin/python"), args=words)
    async with Client(server) as client:
        bench = Workbench(client, root, root.parent / "audit")
        assert await bench.shell("ls -d .venv other/deep/code; echo x > other/deep/free") == ".venv\nother/deep/code\n"
        for attack in ATTACKS:
            assert (await bench.ask("run_command", command=attack))["exit_code"] != 0, attack
        (root / "away").symlink_to(".venv/lib")
        for path in (
            ".venv/new",
            ".venv/pyvenv.cfg",
            "away/made.pth",
            "other/deep/code/made.py",
            "./other/../.venv/x/y",
        ):
            assert (await bench.refused("write_file", path=path, content="evil"))["code"] == "protected", path
            assert (await bench.refused("write_file", path=path, content="evil", append=True))["code"] == "protected"
        await bench.ask("read_file", path=".venv/pyvenv.cfg")
        await bench.ask("write_file", path="other/deep/file", content="good")
        assert "x\n" in await bench.shell("cat other/deep/free; .venv/bin/python -c 'print(1)'")
    assert sorted(map(str, (root / ".venv").rglob("*"))) == before
    assert os.listdir(code) == []


def test_places_below_the_root_are_found_through_links(root: Path) -> None:
    real = root / "envs/real"
    (real / "bin").mkdir(parents=True)
    (root / "links").mkdir()
    (root / "links/env").symlink_to("../envs/real")
    assert below(root, [str(real / "bin"), str(real)]) == (str(real),)
    assert below(root, [str(root / "links/env/bin")]) == (str(real / "bin"), str(root / "links"))
    assert below(root, ["/usr", str(root.parent), str(root / "none")][:1]) == ()
    assert below(root, [], [str(root), str(root.parent), str(root / "none")]) == ()


def test_places_that_cannot_be_guarded_are_refused(root: Path) -> None:
    (root / "env").symlink_to(root.parent)
    for needed in (root, root.parent, root / "env/x"):
        with pytest.raises(InvalidInput):
            below(root, [str(needed)])


def test_nothing_more_is_imported_or_found_in_reach(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "lib").mkdir()
    monkeypatch.setattr(sys, "path", ["", str(root), *sys.path, str(root / "not-yet"), str(root / "lib")])
    monkeypatch.chdir(root)
    forget_imports_from(root)
    assert [each for each in sys.path if each.startswith(str(root)) or not each] == [str(root / "lib")]
    monkeypatch.setenv("PATH", f"{root}/bin:relative::/usr/bin:{root}/lib")
    assert search_path(root, [str(root / "lib")]) == f"/usr/bin:{root}/lib"
    (root.parent / "way").symlink_to(root / "bin")
    assert in_reach(str(root.parent / "way/program"), str(root), [])
