"""The file with the MCP servers: what it may say, and every mistake with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mycelium.errors import InvalidMcpFile
from mycelium_worker.servers.file import read_servers
from mycelium_worker.servers.json_places import Fields, Placed, placed
from mycelium_worker.servers.spec import Bench, HttpServer, StdioServer, default_servers


def read(folder: Path, text: str | bytes, **environment: str) -> tuple[StdioServer | HttpServer, ...]:
    file = folder / "mcp.json"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_servers(file, environment)


def executable(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.touch(mode=0o755)


def test_a_file_as_clients_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    {"preferences": {"other": "programs"},
     "mcpServers": {
\t"files": {"command": "npx", "args": ["-y", "${PACKAGE}"], "env": {"LEVEL": "${LEVEL:-info}"}, "cwd": "data"},
\t"plain": {"type": "stdio", "command": "bin/${WHICH:-}server", "cwd": "~/x", "autoApprove": ["all"]},
\t"web": {"type": "http", "url": "https://${HOST}/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
\t"also": {"type": "streamable-http", "url": "http://localhost:8000/mcp"},
\t"off": {"command": "${NOT_SET}", "disabled": true}
    }}"""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    for program in ("programs/npx", "x/bin/server"):
        executable(tmp_path / program)
    servers = read(
        tmp_path, text, PACKAGE="pack", HOST="example.org:8080", TOKEN="${PACKAGE}", PATH=str(tmp_path / "programs")
    )
    assert servers == (
        StdioServer("files", "npx", ("-y", "pack"), {"LEVEL": "info"}, str(tmp_path / "data")),
        StdioServer("plain", "bin/server", cwd=str(Path.home() / "x")),
        HttpServer("web", "https://example.org:8080/mcp", {"Authorization": "Bearer ${PACKAGE}"}),
        HttpServer("also", "http://localhost:8000/mcp"),
    )


def test_secrets_stay_out_of_what_is_shown(tmp_path: Path) -> None:
    text = """{"mcpServers": {
      "a": {"command": "sh", "env": {"KEY": "${KEY}"}}, "b": {"url": "http://u:${KEY}@h/", "headers": {"A": "${KEY}"}}
    }}"""
    assert "hidden" not in repr(read(tmp_path, text, KEY="hidden"))
    with pytest.raises(InvalidMcpFile) as caught:
        read(
            tmp_path,
            '{"mcpServers": {"a": {"url": "${KEY}", "headers": {"A": "${BAD}"}}}}',
            KEY="hidden",
            BAD="hidden\n",
        )
    assert "hidden" not in json.dumps(caught.value.as_dict())


ONE = '{"mcpServers": {\n "a": %s\n}}'
MISTAKES = [
    # text, place, what is said
    ("", "1:1", "it is empty"),
    (" \n ", "2:2", "it is empty"),
    ("{", "1:2", "it is not JSON: expecting property name"),
    ('{"mcpServers": {}\n// a note\n}', "2:1", "comments are not JSON"),
    ('{"mcpServers": {\n "a": {"command": "x"},\n}}', "3:1", "a comma before the end is not JSON"),
    ('{"mcpServers": {\n "a": {"command": NaN}}}', "2:19", "it is not JSON: NaN is no value"),
    ("[" * 100_000, "1:1", "it is nested too deeply"),
    ('{"a":' + "9" * 5000 + "}", "1:1", "it has a number that is too long"),
    (b'{\n"\xff": 1}', "2:2", "it is not UTF-8"),
    ("[]", "1:1", "a JSON object is wanted"),
    ("{}", "1:1", "no 'mcpServers'"),
    ('{"mcpServers": {"a": {"command": "x"}},\n "mcpservers": {}}', "2:2", "did you mean 'mcpServers'?"),
    ('{"mcpservers": {}}', "1:2", "unknown key 'mcpservers': did you mean 'mcpServers'?"),
    ('{"mcpServers": []}', "1:16", "must be an object"),
    ('{"mcpServers": {}}', "1:16", "'mcpServers' is empty"),
    (
        '{"mcpServers": {"a": {"command": "x"}},\n\n  "mcpServers": {}}',
        "3:3",
        "'mcpServers' is there twice, first on line 1",
    ),
    (ONE % '{"command": "x"},\n "a": {"command": "y"}', "3:2", "server 'a' is there twice, first on line 2"),
    (ONE % '{"command": "x",\n\t"command": "y"}', "3:2", "server 'a': 'command' is there twice, first on line 2"),
    (ONE % '{"command": "x",\n"env": {"A": "1", "A": "2"}}', "3:19", "server 'a': env: 'A' is there twice"),
    (ONE % "7", "2:7", "server 'a': an object is wanted"),
    (ONE % "{}", "2:2", "server 'a': neither 'command' nor 'url'"),
    (ONE % '{"command": "x",\n "url": "http://h"}', "3:2", "server 'a': both 'command' and 'url'"),
    (ONE % '{"comand": "x"}', "2:8", "server 'a': unknown key 'comand': did you mean 'command'?"),
    (ONE % '{"command": "x", "zzz": 1}', "2:24", "unknown key 'zzz': there are type, command, args"),
    (ONE % '{"command": "x", "headers": {}}', "2:24", "'headers' is not for a server with 'command'"),
    (ONE % '{"url": "http://h", "args": []}', "2:27", "'args' is not for a server with 'url'"),
    (ONE % '{"command": 1}', "2:19", "'command' must be text: put it in quotes"),
    (ONE % '{"command": ""}', "2:19", "'command' is empty"),
    (ONE % '{"command": null}', "2:19", "'command' must be text"),
    (ONE % '{"command": "x", "args": "y"}', "2:32", "'args' must be a list of texts"),
    (ONE % '{"command": "x", "args": [\n"y",\n 8080]}', "4:2", "each of 'args' must be text: put it in quotes"),
    (ONE % '{"command": "x", "env": ["A=1"]}', "2:31", "'env' must be an object of texts"),
    (ONE % '{"command": "x", "env": {"A": true}}', "2:37", "env: 'A' must be text: put it in quotes"),
    (ONE % '{"command": "x", "env": {"A=B": "1"}}', "2:32", "env: 'A=B': no variable can have this name"),
    (ONE % '{"command": "x", "disabled": "yes"}', "2:36", "'disabled' must be true or false"),
    (ONE % '{"command": "a\\u0000b"}', "2:19", "'command' has characters that cannot be passed on"),
    (ONE % '{"command": "\\ud800"}', "2:19", "'command' has characters that cannot be passed on"),
    (ONE % '{"command": "x", "args": ["${NOPE}"]}', "2:33", "${NOPE} is not set: set it, or write ${NOPE:-default}"),
    (ONE % '{"url": "h"}', "2:15", "'url' must be a whole http:// or https:// address"),
    (ONE % '{"url": "ftp://h"}', "2:15", "'url' must be a whole"),
    (ONE % '{"url": "http://h:port"}', "2:15", "'url' must be a whole"),
    (ONE % '{"url": "http://h", "headers": {"a b": "c"}}', "2:39", "headers: 'a b': no header can have this name"),
    (ONE % '{"url": "http://h", "headers": {"a": "b\\nc"}}', "2:39", "it has characters that no header can have"),
    (ONE % '{"type": "sse", "url": "http://h"}', "2:16", "type 'sse' is not supported any more: say 'http'"),
    (ONE % '{"type": "ws", "url": "http://h"}', "2:16", "'type' must be 'stdio' or 'http'"),
    (ONE % '{"type": 3, "url": "http://h"}', "2:16", "'type' must be text"),
    (ONE % '{"type": "stdio", "url": "http://h"}', "2:16", "type 'stdio' wants 'command'"),
    (ONE % '{"type": "http", "command": "x"}', "2:16", "type 'http' wants 'url'"),
    (
        '{"mcpServers": {\n "my server": {"command": "x"}}}',
        "2:2",
        "server 'my server': its name must be 1 to 64 letters",
    ),
    ('{"mcpServers": {\n "": {"command": "x"}}}', "2:2", "server '': its name must be"),
]


@pytest.mark.parametrize(("text", "place", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str | bytes, place: str, says: str) -> None:
    with pytest.raises(InvalidMcpFile) as caught:
        read(tmp_path, text)
    assert says in caught.value.message
    assert f"{tmp_path / 'mcp.json'}:{place}: " in caught.value.message
    assert caught.value.code == "invalid_mcp_file"
    assert caught.value.hint


def test_a_command_is_looked_for_where_the_server_would_be_started(tmp_path: Path) -> None:
    executable(tmp_path / "here" / "server")
    (tmp_path / "here" / "notes").touch()
    text = """{"mcpServers": {
      "a": {"command": "server", "env": {"PATH": "%s"}},
      "b": {"command": "./server", "cwd": "here"},
      "c": {"command": "./server"},
      "d": {"command": "here/notes", "cwd": "."},
      "e": {"command": "${WHERE}/server"},
      "f": {"command": "server", "cwd": "there"},
      "g": {"command": "gone", "disabled": true}
    }}""" % (tmp_path / "here")
    with pytest.raises(InvalidMcpFile) as caught:
        read(tmp_path, text, PATH="/nowhere", WHERE="/secret")
    said = [line.partition("mcp.json:")[2] for line in caught.value.message.splitlines()]
    advice = "install it, or write its whole path."
    assert said == [
        f"4:24: server 'c': there is no command './server': {advice}",
        f"5:24: server 'd': there is no command 'here/notes': {advice}",
        f"6:24: server 'e': there is no command '${{WHERE}}/server': {advice}",
        "7:41: server 'f': there is no folder 'there'.",
    ]


def test_all_mistakes_are_told_at_once_in_their_order_up_to_five(tmp_path: Path) -> None:
    wrong = ",\n".join(f'"s{number}": {{}}' for number in range(7))
    with pytest.raises(InvalidMcpFile) as caught:
        read(tmp_path, f'{{"mcpServers": {{\n{wrong}}}}}')
    lines = [part.split("mcp.json:")[1].split(":")[0] for part in caught.value.message.splitlines()[:5]]
    assert lines == ["2", "3", "4", "5", "6"]
    assert caught.value.message.endswith(".\nand 2 more.")
    assert caught.value.data["line"] == 2
    assert caught.value.data["servers"] == [f"s{number}" for number in range(7)]


def test_a_file_that_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidMcpFile, match=r"There is no file .*nowhere\.json\."):
        read_servers(tmp_path / "nowhere.json")
    with pytest.raises(InvalidMcpFile, match="directory"):
        read_servers(tmp_path)


def plain(value: Placed) -> object:
    """The value without its places."""
    if isinstance(value.value, Fields):
        return {field.key: plain(field.value) for field in value.value.all}
    return [plain(item) for item in value.value] if isinstance(value.value, tuple) else value.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_json_is_read_as_it_stands(value: object, indent: int | str | None, ascii_only: bool) -> None:
    assert plain(placed(json.dumps(value, indent=indent, ensure_ascii=ascii_only))) == value


KEYS = [
    "mcpServers",
    "a",
    "command",
    "args",
    "env",
    "cwd",
    "url",
    "headers",
    "type",
    "disabled",
    "${A}",
    "http://h",
    "sse",
]
FILES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
)


@given(
    st.text() | FILES.map(json.dumps) | FILES.map(lambda entry: json.dumps({"mcpServers": {"a": entry}})) | st.binary()
)
@example('{"mcpServers": {"a": {"command": "\\ud800", "args": ["${"]}}}')
@example('{"mcpServers": {"a": {"url": "http://[", "type": "http"}}}')
def test_any_text_gives_servers_or_the_one_error(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    servers, error = outcome(file)
    assert all(server.name for server in servers)
    assert error is None or f"{file}:{error.data['line']}:{error.data['column']}: " in error.message


def outcome(file: Path) -> tuple[tuple[StdioServer | HttpServer, ...], InvalidMcpFile | None]:
    try:
        return read_servers(file, {"A": "b"}), None
    except InvalidMcpFile as error:
        return (), error


def test_by_default_there_are_the_store_and_the_workbench(tmp_path: Path) -> None:
    told = Bench(tmp_path, hidden=(tmp_path / "store.db",), audit=tmp_path / "audit")
    store, bench = default_servers("/bin/mycelium", backend="redis://:secret@h/0", agent="worker-1", bench=told)
    assert store == StdioServer(
        "coordination",
        "/bin/mycelium",
        ("serve", "--tools", "all", "--agent", "worker-1"),
        {"MYCELIUM_BACKEND": "redis://:secret@h/0"},
    )
    assert bench == StdioServer("workbench", "/bin/mycelium", ("workbench", *told.flags))
    assert told.flags == (
        *("--root", str(tmp_path), "--hide", str(tmp_path / "store.db"), "--audit", str(tmp_path / "audit")),
    )
    assert "secret" not in repr(store)
