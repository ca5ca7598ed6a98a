"""Real RabbitMQ nodes of a test's own, on free ports of this machine, that a test may stop, kill and start again.

`RABBITMQ_SERVER` names another program than Debian's or the one on the path.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pika
import pika.exceptions

from mycelium.settings.network import RabbitMQ
from tests.support.redis import free_port

PATIENCE = 90.0
"""Seconds: a bound for a broken build; a node is there in 3 to 8, if it has the machine to itself."""
DEBIANS = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""Not the one in sbin: that goes through `su`, which drops the environment."""
BELOW = 55_536
"""The command-line tools add 10,000 to a node's port among nodes, so that one must be lower than this."""
FRUGAL = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -noinput"
"""What Erlang is told: two threads, which sleep when idle instead of spinning, and no shell on stdin."""
PLAIN: Mapping[str, object] = {
    "disk_free_limit.absolute": "1MB",
    "vm_memory_high_watermark.absolute": "1GB",
    "log.file.level": "info",
}


class RabbitMissing(Exception):
    """No server program is installed."""


def find_server() -> str:
    """The program to start."""
    names = [os.environ.get("RABBITMQ_SERVER", ""), DEBIANS, "rabbitmq-server"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None or shutil.which("epmd") is None:
        raise RabbitMissing("rabbitmq-server is not installed: scripts/install-servers does it")
    return found


class RabbitServer:
    """One node, with everything it keeps in a folder of its own, and with its own Erlang port mapper.

    `conf` holds lines of rabbitmq.conf; what comes by keyword goes to the node's `rabbit` application as it is:
    `RabbitServer(folder, consumer_timeout=2000, channel_tick_interval=500)`.
    """

    def __init__(self, folder: Path, conf: Mapping[str, object] | None = None, **rabbit: object) -> None:
        self.folder = folder
        self.port = free_port()
        self.conf = dict(conf or {})
        self.rabbit = rabbit
        self._mapper_port, self._nodes_port = free_port(), _low_port()
        self._mapper: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def settings(self, **more: Any) -> RabbitMQ:
        """How Mycelium reaches it."""
        return RabbitMQ.model_validate({"host": "127.0.0.1", "port": self.port, **more})

    def plain(self, vhost: str = "/") -> Any:
        """A connection of pika's, which knows nothing of Mycelium. Close it."""
        guest = pika.PlainCredentials("guest", "guest")
        return pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", self.port, vhost, guest, socket_timeout=5, heartbeat=0)
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What the node wrote to its log."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("log/*.log")))

    def start(self) -> None:
        """Start it and wait until it takes connections; what durable queues hold is still there."""
        self._write()
        if self._mapper is None:
            mapper = ["epmd", "-port", str(self._mapper_port), "-address", "127.0.0.1"]
            self._mapper = subprocess.Popen(mapper, stdin=subprocess.DEVNULL)
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [find_server()], env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "output").read_text() + self.log)
            time.sleep(0.05)

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {value}\n" for name, value in {**PLAIN, **self.conf}.items()]
        (self.folder / "rabbitmq.conf").write_text("".join(lines))
        terms = ", ".join(f"{{{name}, {value}}}" for name, value in self.rabbit.items())
        (self.folder / "advanced.config").write_text(f"[{{rabbit, [{terms}]}}].\n")
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / "env.conf").write_text("")

    @property
    def environment(self) -> dict[str, str]:
        """What the node and its command-line tools find each other by."""
        folder, mapper = self.folder, str(self._mapper_port)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": mapper,
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ALLOW_INPUT": "1",  # so that the script becomes the node, with its pid
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_DIST_PORT": str(self._nodes_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_NODENAME": f"test-{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{FRUGAL} -kernel inet_dist_use_interface {{127,0,0,1}}",
        }

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as client:
                client.sendall(b"AMQP\x00\x00\x09\x01")
                return client.recv(1) == b"\x01"
        except OSError:
            return False

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` says to this; it takes a second or two."""
        program = Path(find_server()).with_name("rabbitmqctl")
        done = subprocess.run([program, *words], env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def stop(self) -> None:
        """End it as an administrator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: it takes bytes, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(PATIENCE)

    def close(self) -> None:
        """End it, and its port mapper, which outlives a node otherwise."""
        self.kill()
        if self._mapper is not None:
            self._mapper.kill()
            self._mapper.wait(PATIENCE)
            self._mapper = None


def _low_port() -> int:
    while (port := free_port()) >= BELOW:
        pass
    return port


@contextmanager
def rabbit_server(folder: Path, conf: Mapping[str, object] | None = None, **rabbit: object) -> Generator[RabbitServer]:
    """A running node."""
    server = RabbitServer(folder, conf, **rabbit)
    try:
        server.start()
        yield server
    finally:
        server.close()


@dataclass(frozen=True)
class Names:
    """A corner of a node that only one test uses: an exchange and a prefix of queues that nobody else has."""

    server: RabbitServer
    name: str = field(default_factory=lambda: f"t{uuid4().hex[:12]}")

    def settings(self, **more: Any) -> RabbitMQ:
        """How Mycelium reaches this corner."""
        return self.server.settings(**{"exchange": self.name, "queue_prefix": self.name, **more})

    def queue(self, suffix: str) -> str:
        return f"{self.name}.{suffix}"

    def remove(self) -> None:
        """Delete the topology that Mycelium may have declared here."""
        with suppress(pika.exceptions.AMQPError), closing(self.server.plain()) as connection:
            channel = connection.channel()
            for suffix in SUFFIXES:
                channel.queue_delete(f"{self.name}.{suffix}")
            channel.exchange_delete(self.name)
            channel.exchange_delete(f"{self.name}.dead_letters")


SUFFIXES = (
    "agent_tasks",
    "agent_responses",
    "system_events",
    "system_events.intake",
    "user_notifications",
    "agent_coordination",
    "agent_coordination.intake",
    "dead_letters",
)
