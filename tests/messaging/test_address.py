"""The broker's address as one URL."""

import pytest

from mycelium.errors import InvalidInput
from mycelium_messaging.address import address_of, settings_at


def test_every_part_of_a_url_is_read() -> None:
    found = settings_at("amqps://ada%40x:p%2Fw%3A@broker.example:5673/team%2Fone", exchange="demo")
    assert (found.host, found.port, found.vhost, found.tls) == ("broker.example", 5673, "team/one", True)
    assert (found.username, found.password.get_secret_value(), found.exchange) == ("ada@x", "p/w:", "demo")


@pytest.mark.parametrize("url", ["amqp://localhost", "amqp://localhost/", "amqp://localhost/%2F"])
def test_what_is_left_out_is_as_by_default(url: str) -> None:
    found = settings_at(url)
    assert (found.username, found.password.get_secret_value(), found.vhost, found.tls) == ("guest", "guest", "/", False)
    assert address_of(found) == "amqp://guest@localhost:5672"


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "http://ada:secret@h", "amqp://", "amqp://ada:secret@h:0", "amqp://ada:secret@h:99999",
     "amqp://ada:secret@h:x", "amqp://ada:secret@h/v?heartbeat=3", "amqp://ada:secret@[h", "amqp://ada:%00secret@h"],
)  # fmt: skip
def test_anything_else_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settings_at(url)
    assert "secret" not in str(refused.value)
