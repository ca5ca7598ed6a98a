"""A real browser, where the extra `browser` and a Chromium are installed."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from mycelium_workbench.errors import NoBrowser, PageTrouble
from mycelium_workbench.own import in_reach, search_path
from mycelium_workbench.proxy import REFUSED_AS, USER, Proxy

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Playwright, Route

    from mycelium_workbench.bench import Bench

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
SIZE: Final = (1280, 800)
LOADED_WITHIN: Final = 20_000
"""Milliseconds."""
SETTLED_WITHIN: Final = 2_000
"""Milliseconds that scripts get after the page is there."""
FLAGS: Final = (
    # Whatever does not go through the proxy goes nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
)
CLOSED_WITHIN: Final = 5.0
"""Seconds for a browser to end by itself."""
MARK: Final = "MYCELIUM_PAGE"
"""In a browser's environment: it starts processes that its own end may leave behind."""
INSTALL: Final = "pip install 'mycelium-mcp[browser]', and a Chromium; or leave out screenshot."


@dataclass(frozen=True, slots=True)
class Seen:
    """A page as the browser shows it."""

    url: str
    status: int
    html: str
    png: bytes


async def render(url: str, proxy: Proxy, bench: Bench) -> Seen:
    """Open the page in a browser of its own, which is gone afterwards, and all of whose traffic goes through `proxy`.

    Raises:
        NoBrowser: none can be started.
        PageTrouble: the page cannot be opened.
    """
    try:
        from playwright.async_api import Error
    except ImportError:
        raise NoBrowser("No browser is installed.", hint=INSTALL) from None
    async with _browser(proxy, bench) as browser:
        try:
            return await _seen(browser, url, proxy)
        except Error as error:
            said = error.message.splitlines()[0][:200]
            raise PageTrouble(f"The browser cannot open the page: {said}.", hint="Try later.") from None


@asynccontextmanager
async def _browser(proxy: Proxy, bench: Bench) -> AsyncGenerator[Browser]:
    from playwright.async_api import Error, async_playwright

    path = search_path(bench.folder.root, bench.guarded)
    program = next((found for each in PROGRAMS if (found := shutil.which(each, path=path))), None)
    mark = f"{os.getpid()}-{secrets.token_hex(8)}"
    async with _ended(mark), AsyncExitStack() as stack:
        playwright = await async_playwright().start()
        stack.push_async_callback(_stop, playwright)
        if in_reach(program or playwright.chromium.executable_path, str(bench.folder.root), bench.guarded):
            raise NoBrowser("The only browser lies in the folder that is worked in.", hint=INSTALL)
        try:
            browser = await playwright.chromium.launch(
                executable_path=program,
                args=list(FLAGS),
                # Chromium's own sandbox does not work for root.
                chromium_sandbox=os.geteuid() != 0,
                env={"PATH": path, "LANG": "C.UTF-8", MARK: mark},
                proxy={"server": proxy.url, "username": USER, "password": proxy.password},
            )
        except Error as error:
            raise NoBrowser(
                f"The browser does not start: {error.message.splitlines()[0][:200]}.", hint=INSTALL
            ) from None
        try:
            yield browser
        finally:
            with anyio.move_on_after(CLOSED_WITHIN, shield=True):
                await browser.close()


async def _stop(playwright: Playwright) -> None:
    with anyio.move_on_after(CLOSED_WITHIN, shield=True):
        await playwright.stop()


@asynccontextmanager
async def _ended(mark: str) -> AsyncGenerator[None]:
    """Afterwards nothing runs any more that has this mark in its environment, nor what is in a group with it."""
    try:
        yield
    finally:
        for each in _everyone():
            with suppress(OSError):
                if f"{MARK}={mark}".encode() in _environment(each):
                    _kill(each)


def _everyone() -> list[int]:
    try:
        return [int(each) for each in os.listdir("/proc") if each.isdigit()]
    except FileNotFoundError:  # not on macOS, where the browser's own end has to do
        return []


def _environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def _kill(pid: int) -> None:
    if (group := os.getpgid(pid)) != os.getpgrp():
        os.killpg(group, signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)


async def _seen(browser: Browser, url: str, proxy: Proxy) -> Seen:
    from playwright.async_api import TimeoutError as TooSlow

    width, height = SIZE
    page = await browser.new_page(
        viewport={"width": width, "height": height}, accept_downloads=False, service_workers="block"
    )
    await page.route("**/*", _only_web)
    answer = await page.goto(url, timeout=LOADED_WITHIN, wait_until="load")
    if answer is not None and answer.status in REFUSED_AS and proxy.refused is not None:
        raise proxy.refused
    with suppress(TooSlow):  # some pages are never quiet
        await page.wait_for_load_state("networkidle", timeout=SETTLED_WITHIN)
    return Seen(page.url, answer.status if answer else 0, await page.content(), await _picture(page))


async def _picture(page: Page) -> bytes:
    return await page.screenshot(type="png", animations="disabled", timeout=LOADED_WITHIN)


async def _only_web(route: Route) -> None:
    if route.request.url.startswith(("http://", "https://", "data:", "blob:")):
        await route.continue_()
    else:
        await route.abort()
