"""`browse_page`: what a page says, and how it looks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import anyio
from mcp_types import ToolAnnotations
from pydantic import Field

from mycelium_workbench.bench import Bench
from mycelium_workbench.errors import (
    InvalidInput,
    NotAllowedAddress,
    PageTrouble,
    TimedOut,
    ToolFailed,
    WorkbenchError,
)
from mycelium_workbench.helper import words
from mycelium_workbench.proxy import REFUSED_AS, USER, Proxy
from mycelium_workbench.registry import tool
from mycelium_workbench.reply import Reply

LONGEST_URL: Final = 2000
MOST_REDIRECTS: Final = 10
READ_WITHIN: Final = 10.0
"""Seconds to make text of a page."""
FOR_BROWSERS: Final = 4
"""So many times a page's size may what belongs to it have in a browser: pictures, styles."""
READABLE: Final = ("text/html", "application/xhtml+xml")
PLAIN: Final = ("text/", "application/json", "application/xml", "application/javascript", "application/yaml")
AGENT: Final = "mycelium-workbench"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it came. `png` is a picture of it."""

    url: str
    status: int
    kind: str
    body: bytes
    cut: bool = False
    png: bytes | None = None


@tool(ToolAnnotations(read_only_hint=True, open_world_hint=True))
async def browse_page(
    bench: Bench,
    url: str,
    screenshot: Annotated[bool, Field(description="Render it in a browser, with a picture")] = False,
) -> Reply:
    """Fetch a public web page: title, text, links."""
    check_url(url)
    limits = bench.limits
    most = limits.page_bytes * (FOR_BROWSERS if screenshot else 1) + 256 * 1024  # with heads and handshakes
    proxy = Proxy(bench.settings.allowed_hosts, most)
    fetch = _rendered if screenshot else _fetched
    try:
        with anyio.fail_after(limits.page_seconds):
            async with proxy.open():
                page = await _page_or_error(fetch(url, proxy, bench), proxy)
    except TimeoutError:
        raise TimedOut(f"The page took over {limits.page_seconds:g} s.", hint="Try later, or another page.") from None
    if isinstance(page, WorkbenchError):
        raise page
    return _reply(page, await _read(page, limits.output_bytes), limits.output_bytes)


async def _page_or_error(fetching: Awaitable[Page], proxy: Proxy) -> Page | WorkbenchError:
    """What came of it; an error is given, not raised, since the proxy's tasks would wrap it."""
    try:
        return await fetching
    except PageTrouble as error:
        return proxy.refused or error
    except WorkbenchError as error:
        return error


def check_url(url: str) -> None:
    """Refuse what is no plain address of a page; where it leads is for the proxy to find out.

    Raises:
        InvalidInput: it is no address.
        NotAllowedAddress: it is one, but not of a page.
    """
    if len(url) > LONGEST_URL or any(each.isspace() or not each.isprintable() or each == "\\" for each in url):
        raise InvalidInput(
            f"The address has over {LONGEST_URL} characters, or some that none has.", hint="Encode them."
        )
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"This is no address: {error}.", hint="Such as https://example.org/page.") from None
    if parts.scheme.lower() not in {"http", "https"}:
        raise NotAllowedAddress(f"{parts.scheme[:20]!r} is no scheme for pages.", hint="Use http or https.")
    if "@" in parts.netloc:
        raise NotAllowedAddress("The address has a user in it.", hint="Leave out all that stands before the @.")
    if not host:
        raise InvalidInput("The address names no host.", hint="Such as https://example.org/page.")


async def _fetched(url: str, proxy: Proxy, bench: Bench) -> Page:
    import httpx2 as httpx

    # The proxy looks at the first request of a connection.
    one_each = httpx.Limits(max_keepalive_connections=0)
    through = httpx.Proxy(proxy.url, auth=(USER, proxy.password))
    # Nothing of the environment counts: it may name another proxy, and passwords for hosts.
    async with httpx.AsyncClient(
        proxy=through,
        trust_env=False,
        follow_redirects=True,
        max_redirects=MOST_REDIRECTS,
        timeout=None,
        limits=one_each,
    ) as client:
        try:
            headers = {"User-Agent": AGENT, "Accept": "text/html, text/*;q=0.9, */*;q=0.5", "Accept-Encoding": "gzip"}
            async with client.stream("GET", url, headers=headers) as answer:
                if answer.status_code in REFUSED_AS and proxy.refused is not None:
                    raise proxy.refused
                body, cut = await _body(answer, bench.limits.page_bytes)
                kind = str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()
                return Page(str(answer.url), answer.status_code, kind, body, cut)
        except httpx.TooManyRedirects:
            raise PageTrouble(f"The page redirects over {MOST_REDIRECTS} times.", hint="Try another.") from None
        except httpx.UnsupportedProtocol:
            raise NotAllowedAddress("The page redirects to something else than a page.", hint="Try another.") from None
        except httpx.InvalidURL as error:
            raise InvalidInput(f"This is no address: {error}.", hint="Such as https://example.org/page.") from None
        except (httpx.HTTPError, zlib.error) as error:
            raise PageTrouble(f"The page cannot be had: {error or type(error).__name__}.", hint="Try later.") from None


async def _body(answer: Any, most: int) -> tuple[bytes, bool]:
    """The page's bytes, unpacked as far as there is room for them, and whether some had to be left out."""
    packed = str(answer.headers.get("content-encoding", "")).lower()
    if packed not in {"", "identity", "gzip", "x-gzip"}:
        raise PageTrouble(f"The page is packed as {packed[:20]!r}, which nobody asked for.", hint="Try another.")
    unpack = zlib.decompressobj(wbits=31) if packed.endswith("gzip") else None
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
        if len(body) > most:
            return bytes(body[:most]), True
    return bytes(body), False


async def _rendered(url: str, proxy: Proxy, bench: Bench) -> Page:
    from mycelium_workbench.browser import render

    seen, most = await render(url, proxy, bench), bench.limits.page_bytes
    body = seen.html.encode(errors="replace")
    return Page(seen.url, seen.status, "text/html", body[:most], len(body) > most, seen.png)


async def _read(page: Page, most: int) -> dict[str, Any]:
    if page.kind in READABLE or (not page.kind and page.body.lstrip()[:1] == b"<"):
        return await _read_html(page)
    if page.kind.startswith(PLAIN) or page.kind.endswith(("+json", "+xml")) or not page.kind:
        return {"title": "", "text": page.body[: most + 4].decode(errors="replace"), "links": []}
    raise PageTrouble(f"{page.url[:200]} is {page.kind[:50]}, no text.", hint="Browse pages of text.")


async def _read_html(page: Page) -> dict[str, Any]:
    try:
        with anyio.fail_after(READ_WITHIN):
            done = await anyio.run_process(words("reader", page.url), input=page.body, env={}, cwd="/", check=False)
    except TimeoutError:
        raise TimedOut("The page takes too long to read.", hint="Try another.") from None
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise ToolFailed("The page cannot be made into text.", hint="Try another.") from None


def _reply(page: Page, read: dict[str, Any], most: int) -> Reply:
    encoded = str(read["text"]).encode(errors="replace")
    text = encoded[:most].decode(errors="ignore")
    cut = page.cut or len(encoded) > most
    png = None if page.png is None else base64.b64encode(page.png).decode()
    data = {
        "url": page.url,
        "status": page.status,
        "title": read["title"],
        "text": text,
        "links": read["links"],
        "cut": cut,
    }
    links = [f"{each['text']}: {each['url']}" for each in read["links"][:20]]
    head = [f"{page.status} {page.url}", *([f"Title: {read['title']}"] if read["title"] else [])]
    tail = [*(["(cut)"] if cut else []), *(["Links:", *links] if links else [])]
    return Reply("\n".join([*head, text, *tail]), data, png)
