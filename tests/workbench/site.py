"""Pages on loopback, served by a thread."""

import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOME = """<!doctype html><title>Home &amp; away</title><style>p {color: red}</style>
<h1>Welcome</h1><p>Read <a href="/next#part">on</a>.</p><script>document.write("<p>written by a script</p>")</script>
"""


class Site:
    """What pages there are, by path, and which were asked for. Another port of loopback is `elsewhere`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.put("/", HOME)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def flags(self) -> tuple[str, str]:
        """What lets a workbench browse here."""
        return "--allow-host", f"127.0.0.1:{self.port}"

    def put(self, path: str, html: str | bytes, status: int = 200, **headers: str) -> None:
        body = html.encode() if isinstance(html, str) else html
        said = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.pages[path] = (status, said, body)

    def put_packed(self, path: str, html: bytes) -> None:
        self.put(path, gzip.compress(html), Content_Encoding="gzip")

    def redirect(self, path: str, target: str) -> None:
        self.put(path, "", 302, Location=target)


@contextmanager
def site() -> Generator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            status, headers, body = served.pages.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that has had enough hangs up

    with Server(("127.0.0.1", 0), Handler) as server:
        served = Site(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
