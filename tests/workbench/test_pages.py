"""`browse_page`. All pages come from loopback, which each test allows by name; nothing else is ever asked."""

import base64
import os
import socket
from collections.abc import AsyncGenerator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import ImageContent

from mycelium_workbench import Limits, addresses
from mycelium_workbench.addresses import find_target, host_and_port, is_own, is_public
from mycelium_workbench.browser import MARK
from mycelium_workbench.errors import InvalidInput, NotAllowedAddress
from mycelium_workbench.proxy import Proxy
from tests.workbench.bench import Workbench, text_of, working
from tests.workbench.site import Site, site

pytestmark = pytest.mark.anyio


def allowed(web: Site) -> frozenset[tuple[str, int]]:
    return frozenset({("127.0.0.1", web.port)})


@pytest.fixture
async def reader(web: Site, root: Path) -> AsyncGenerator[Workbench]:
    """A workbench that may browse the pages on loopback, and these only."""
    async with working(root, Limits(page_mb=1), allowed_hosts=allowed(web)) as bench:
        yield bench


async def test_page_is_read(web: Site, reader: Workbench) -> None:
    said = await reader.ask("browse_page", url=f"{web.url}/")
    assert (said["status"], said["title"], said["cut"]) == (200, "Home & away", False)
    assert said["text"] == "# Welcome\n\nRead on."
    assert said["links"] == [{"url": f"{web.url}/next", "text": "on"}]


async def test_packed_pages_plain_texts_and_errors_are_read(web: Site, reader: Workbench) -> None:
    web.put_packed("/packed", b"<p>packed")
    web.put("/text", "a < b", Content_Type="text/plain")
    web.put("/gone", "<p>no more", 410)
    assert (await reader.ask("browse_page", url=f"{web.url}/packed"))["text"] == "packed"
    assert (await reader.ask("browse_page", url=f"{web.url}/text"))["text"] == "a < b"
    gone = await reader.ask("browse_page", url=f"{web.url}/gone")
    assert (gone["status"], gone["text"]) == (410, "no more")


async def test_large_pages_are_cut_packed_or_not(web: Site, reader: Workbench) -> None:
    web.put("/large", b"<p>" + b"word " * 1_000_000)
    web.put_packed("/bomb", b"<p>" + b"a" * 50_000_000)
    for path in ("/large", "/bomb"):
        said = await reader.ask("browse_page", url=web.url + path)
        assert said["cut"]
        assert len(said["text"]) <= 64 * 1024


async def test_what_is_no_text_is_refused(web: Site, reader: Workbench) -> None:
    web.put("/picture", b"GIF89a", Content_Type="image/gif")
    web.put("/odd", b"?", Content_Encoding="br")
    for path in ("/picture", "/odd"):
        assert (await reader.refused("browse_page", url=web.url + path))["code"] == "page_trouble"


NOT_FOR_PAGES = [
    "http://127.0.0.1:{other}/", "http://localhost:{other}/", "http://2130706433:{other}/", "http://0x7f000001:{other}/",
    "http://127.1:{other}/", "http://0:{other}/", "http://0.0.0.0:{other}/",
    "http://[::1]:{other}/", "http://[::]:{other}/", "http://[::ffff:127.0.0.1]:{other}/", "https://127.0.0.1:{other}/",
    "https://[::1]:{other}/",
    "http://[::ffff:7f00:1]:{other}/", "http://10.0.0.1/", "http://192.168.1.1/", "http://172.16.0.1/",
    "http://100.64.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://[fe80::1]/",
    "http://metadata.google.internal/", "http://METADATA.google.internal./", "http://168.63.129.16/",
    "http://224.0.0.1/", "http://255.255.255.255/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
    "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "data:text/html,x", "javascript:1",
    "http://user@127.0.0.1:{other}/", "http://example.org:80@127.0.0.1:{other}/", "view-source:http://127.0.0.1/",
]  # fmt: skip


async def test_addresses_that_are_not_for_pages_are_refused(reader: Workbench) -> None:
    with site() as other:
        for url in NOT_FOR_PAGES:
            error = await reader.refused("browse_page", url=url.format(other=other.port))
            assert error["code"] == "not_allowed_address", url
        assert other.asked == []


@pytest.mark.parametrize(
    "url",
    ["", "http://", "nothing", "http://0177.0.0.1/", "http://a b/", "http://[::1/", "http://a\\b/", "http://h:99999/"],
)
async def test_what_is_no_address_is_refused(reader: Workbench, url: str) -> None:
    assert (await reader.refused("browse_page", url=url))["code"] in {"invalid_input", "not_allowed_address"}


async def test_redirects_are_checked_like_the_first_address(web: Site, reader: Workbench) -> None:
    web.redirect("/here", "/")
    web.redirect("/round", "/round")
    web.redirect("/file", "file:///etc/passwd")
    assert (await reader.ask("browse_page", url=f"{web.url}/here"))["title"] == "Home & away"
    assert (await reader.refused("browse_page", url=f"{web.url}/round"))["code"] == "page_trouble"
    assert (await reader.refused("browse_page", url=f"{web.url}/file"))["code"] == "not_allowed_address"
    with site() as other:
        for target in (f"{other.url}/", f"http://2130706433:{other.port}/", f"https://127.0.0.1:{other.port}/"):
            web.redirect("/away", target)
            assert (await reader.refused("browse_page", url=f"{web.url}/away"))["code"] == "not_allowed_address"
        assert other.asked == []


async def test_name_that_changes_its_meaning_is_looked_up_once(
    web: Site, reader: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is public, later ones are this machine: whoever looked up twice would come here."""
    looked_up: list[str] = []
    connected: list[object] = []
    real: Any = socket.getaddrinfo
    connect: Any = anyio.connect_tcp

    def changing(host: str | bytes | None, port: int | str | None, *rest: Any, **more: Any) -> Any:
        if host not in {"rebind.example", b"rebind.example"}:
            return real(host, port, *rest, **more)
        looked_up.append("rebind.example")
        address = "127.0.0.1" if len(looked_up) > 1 else "8.8.8.8"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def noted(remote_host: Any, remote_port: int, **more: Any) -> SocketStream:
        if remote_port != web.port:
            return await connect(remote_host, remote_port, **more)
        connected.append(remote_host)
        raise OSError("nothing leaves this machine in a test")

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    monkeypatch.setattr(anyio, "connect_tcp", noted)
    error = await reader.refused("browse_page", url=f"http://rebind.example:{web.port}/")
    assert (error["code"], looked_up, connected) == ("page_trouble", ["rebind.example"], ["8.8.8.8"])
    assert web.asked == []


async def test_one_private_address_among_others_is_enough(
    web: Site, reader: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def both(host: str | bytes | None, port: int | str | None, *rest: Any, **more: Any) -> Any:
        if host not in {"both.example", b"both.example"}:
            return real(host, port, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in ("8.8.8.8", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    error = await reader.refused("browse_page", url=f"http://both.example:{web.port}/")
    assert (error["code"], web.asked) == ("not_allowed_address", [])


async def test_page_that_never_comes_is_given_up(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        limits = Limits(page_seconds=0.5)
        async with working(root, limits, allowed_hosts=frozenset({("127.0.0.1", port)})) as bench:
            assert (await bench.refused("browse_page", url=f"http://127.0.0.1:{port}/"))["code"] == "timed_out"


async def test_proxy_of_a_page_serves_its_client_alone(web: Site) -> None:
    proxy = Proxy(allowed(web), 10_000)
    async with proxy.open(), await anyio.connect_tcp("127.0.0.1", proxy.port) as stranger:
        await stranger.send(f"GET {web.url}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert (await stranger.receive()).startswith(b"HTTP/1.1 407")
    assert web.asked == []


async def test_each_request_has_a_connection_of_its_own_and_the_password_stays_here() -> None:
    """A second one behind the first would go to the same server unseen, with the password for the proxy in it."""
    got, said, password = bytearray(), bytearray(), ""
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"

    async def keep_alive(stream: SocketStream) -> None:
        async with stream:
            got.extend(await stream.receive())
            while not got.endswith(b"body"):
                got.extend(await stream.receive())
            await stream.send(answer)
            with anyio.move_on_after(0.3):
                got.extend(await stream.receive())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        port = listener.extra(SocketAttribute.local_port)
        tasks.start_soon(listener.serve, keep_alive)
        proxy = Proxy({("127.0.0.1", port)}, 10_000)
        async with proxy.open(), await anyio.connect_tcp("127.0.0.1", proxy.port) as client:
            password = base64.b64encode(f"workbench:{proxy.password}".encode()).decode()
            request = (
                f"POST http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {password}\r\n"
                "Proxy-Connection: keep-alive\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"
            ).encode()
            await client.send(request * 2)
            with anyio.fail_after(20):
                async for chunk in client:
                    said += chunk
        tasks.cancel_scope.cancel()
    assert got.count(b"POST") == 1
    assert b"Proxy" not in got
    assert password.encode() not in got
    assert b"keep-alive" not in got + said
    assert said.endswith(b"Connection: close\r\n\r\nok")


@pytest.mark.parametrize(
    "wrong", ["Transfer-Encoding: chunked", "A: b\r\n Proxy: c", "Content-Length: 1\r\nContent-Length: 2"]
)
async def test_request_of_unclear_size_is_not_passed_on(web: Site, wrong: str) -> None:
    proxy = Proxy(allowed(web), 10_000)
    async with proxy.open(), await anyio.connect_tcp("127.0.0.1", proxy.port) as client:
        password = base64.b64encode(f"workbench:{proxy.password}".encode()).decode()
        head = f"GET {web.url}/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic {password}\r\n{wrong}\r\n\r\n"
        await client.send(head.encode())
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(20):
            await client.receive()
    assert web.asked == []


@pytest.mark.usefixtures("browser")
async def test_browser_shows_the_page_and_goes_nowhere_else(web: Site, reader: Workbench) -> None:
    with site() as other:
        web.put(
            "/busy",
            f"""<title>Busy</title><p>plain</p><img src="{other.url}/a.png"><iframe src="file:///etc/passwd"></iframe>
            <script>document.body.append("from a script"); fetch("{other.url}/b"); new Image().src = "http://[::1]:{other.port}/c";
            new WebSocket("ws://127.0.0.1:{other.port}/d"); navigator.sendBeacon("{other.url}/e")</script>""",
        )
        result = await reader.call("browse_page", url=f"{web.url}/busy", screenshot=True)
        assert "from a script" in text_of(result)
        picture = result.content[1]
        assert isinstance(picture, ImageContent)
        assert base64.b64decode(picture.data).startswith(b"\x89PNG")
        assert result.structured_content is None  # or some clients would show their model nothing else
        web.redirect("/away", f"{other.url}/")
        error = await reader.refused("browse_page", url=f"{web.url}/away", screenshot=True)
        assert error["code"] == "not_allowed_address"
        assert other.asked == []


@pytest.mark.usefixtures("browser")
async def test_browser_ends_with_its_page_whatever_that_does(web: Site, root: Path) -> None:
    web.put("/busy", "<script>document.title = 'x'; while (true) {}</script>")
    async with working(root, allowed_hosts=allowed(web)) as bench, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: bench.call("browse_page", url=f"{web.url}/busy", screenshot=True))
        with anyio.fail_after(60):
            while "/busy" not in web.asked:  # noqa: ASYNC110  a browser asks for it
                await anyio.sleep(0.02)
        tasks.cancel_scope.cancel()
    assert not [each for each in Path("/proc").glob("[0-9]*/environ") if _is_of_this_test(each)]


def _is_of_this_test(environment: Path) -> bool:
    try:
        return f"{MARK}={os.getpid()}-".encode() in environment.read_bytes()
    except OSError:  # it has ended
        return False


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_no_address_of_our_own_is_public(address: IPv4Address | IPv6Address) -> None:
    own = address.is_private or address.is_loopback or address.is_link_local or address.is_multicast
    assert not (own and is_public(str(address)))
    if isinstance(address, IPv4Address):
        assert is_public(f"::ffff:{address}") == is_public(str(address))


@pytest.mark.parametrize(
    "address",
    [
        "192.0.0.1", "192.0.0.171", "192.88.99.1", "3fff::1", "5f00::1", "2001:2::1", "64:ff9b::a00:1",
        "64:ff9b::808:808",
        "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:10.0.0.1", "2002:a00:1::", "2001:0:808:808::1",
        "::ffff:0:8.8.8.8", "4000::1", "ff0e::1", "::8.8.8.8",
    ],
)  # fmt: skip
def test_addresses_with_another_meaning_are_not_public(address: str) -> None:
    assert not is_public(address)


async def test_own_addresses_are_not_for_pages_though_they_are_public(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_own("127.0.0.1")
    assert not is_own("192.0.2.1")

    def public(_address: str) -> bool:
        return True

    monkeypatch.setattr(addresses, "is_public", public)
    with pytest.raises(NotAllowedAddress):
        await find_target("127.0.0.1", 80, ())
    assert (await find_target("192.0.2.1", 80, ())).addresses == ("192.0.2.1",)


def test_public_addresses_are() -> None:
    assert all(is_public(each) for each in ("8.8.8.8", "1.1.1.1", "2606:4700::1111"))
    assert not any(is_public(each) for each in ("fe80::1%eth0", "here", ""))


def test_allowed_hosts_are_named_with_their_port() -> None:
    assert host_and_port("Intranet.Example:443") == ("intranet.example", 443)
    assert host_and_port("[::1]:80") == ("::1", 80)
    for wrong in ("host", "host:", ":80", "http://host:80", "host:80/path", "user@host:80", "host:0"):
        with pytest.raises(InvalidInput):
            host_and_port(wrong)
