"""A server by hand, of the handshake era, that can break the protocol: `raw.py WHAT…`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

WHAT = set(sys.argv[1:])
GOOD = {"name": "good", "inputSchema": {"type": "object"}}
PAGES: dict[str | None, dict[str, Any]] = {
    None: {"tools": [{**GOOD, "name": "first"}], "nextCursor": "2"},
    "2": {"tools": [{**GOOD, "name": "second"}], "nextCursor": "3"},
    "3": {"tools": [{**GOOD, "name": "third"}]},
}
BROKEN = [
    GOOD,
    {**GOOD, "name": "vague", "outputSchema": "no schema", "annotations": 7, "_meta": None},
    {"name": "no-schema"},
    {"name": "text", "inputSchema": "object"},
    {"name": "array", "inputSchema": {"type": "array"}},
    {"name": "bad", "inputSchema": {"type": "object", "properties": {"a": {"type": "nonsense"}}}},
    {"name": 7, "inputSchema": {"type": "object"}},
    {"name": "", "inputSchema": {"type": "object"}},
    "no tool at all",
]


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def listed(params: dict[str, Any]) -> dict[str, Any]:
    if "pages" in WHAT:
        return PAGES[params.get("cursor")]
    if "endless" in WHAT:
        page = int(params.get("cursor") or 0)
        return {"tools": [{**GOOD, "name": f"tool-{page}"}], "nextCursor": str(page + 1)}
    return {"tools": BROKEN if "broken" in WHAT else [GOOD]}


def flood() -> None:
    """So much that a listener that keeps it all would have 100 MB of it."""
    what = {"method": "notifications/message", "params": {"level": "info", "data": "x" * 200}}
    if "changes" in WHAT:
        what = {"method": "notifications/tools/list_changed"}
    for number in range(5000):
        say(**({"id": f"q{number}", "method": "elicitation/create", "params": {}} if "asks" in WHAT else what))
        say(id=f"never-asked-{number}", result={})
    sys.stdout.write("this is no JSON\n" * 1000)


def answer(request: dict[str, Any]) -> None:
    method: str = request["method"]
    params: dict[str, Any] = request.get("params", {})
    if method == "initialize":
        capabilities = {"tools": {"listChanged": True}}
        info = {"name": "raw", "version": "1"}
        say(
            id=request["id"], result={"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info}
        )
    elif method == "tools/list":
        say(id=request["id"], result=listed(params))
    elif method == "tools/call":
        if "floods" in WHAT:
            flood()
        say(id=request["id"], result={"content": [{"type": "text", "text": "done"}]})
    elif "id" in request:
        say(id=request["id"], error={"code": -32601, "message": "Method not found"})


def main() -> None:
    if "mute" in WHAT:
        time.sleep(3600)
    if "stays" in WHAT:
        stay()
    if "dies" in WHAT:
        sys.exit(7)
    for line in sys.stdin:
        message = json.loads(line)
        if "method" in message:
            answer(message)
    if WHAT & {"lingers", "stays"}:
        time.sleep(3600)


def stay() -> None:
    """Have a child, and obey nobody: neither the end of stdin nor SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "3600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    sys.stderr.write(f"pids {os.getpid()} {child.pid}\n")


if __name__ == "__main__":
    main()
