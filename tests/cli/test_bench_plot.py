"""The picture of `mycelium bench`."""

from xml.etree import ElementTree as ET

from mycelium_server.bench.figures import Operation, Report, Timing
from mycelium_server.bench.plot import LEFT, OURS, RAW, WIDTH, draw

SVG = "{http://www.w3.org/2000/svg}"
QUICK = Timing(100, 1.0, 2.0, 4.0, 800.0)
SLOW = Timing(100, 2.0, 4.0, 8.0, 400.0)


def drawn(agents: int = 50, *, raw: Timing | None = SLOW) -> ET.Element:
    both = [Operation("Claim Task", "together", agents, QUICK, raw), Operation("Claim Task", "alone", 1, QUICK, raw)]
    return ET.fromstring(
        draw(Report("sqlite", "a file", "sqlite3" if raw else None, agents, 100, "a machine", both, []))
    )


def texts(picture: ET.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def bars(picture: ET.Element, colour: str) -> list[float]:
    """How long the bars and lines of a colour are, from above."""
    found = [each for each in picture.iter(f"{SVG}rect") if each.get("fill") == colour and each.get("x") == str(LEFT)]
    return [float(each.get("width", "")) for each in found]


def test_it_shows_rates_together_and_times_alone_with_median_and_tail() -> None:
    picture = drawn()
    rate, median, tail = bars(picture, OURS)
    assert [round(rate / each, 1) for each in bars(picture, RAW)[:1]] == [2.0]
    assert [round(each / median, 1) for each in (tail, *bars(picture, RAW)[1:])] == [4.0, 2.0, 8.0]
    said = texts(picture)
    assert "800/s, p50 1.00, p99 4.00 ms" in said
    assert "p50 2.00, p99 8.00 ms" in said


def test_everything_is_inside() -> None:
    picture = drawn()
    height = float(picture.get("height", ""))
    assert all(float(each.get("y", "")) < height for each in picture.iter(f"{SVG}text"))
    assert max(bars(picture, OURS) + bars(picture, RAW)) < WIDTH - LEFT


def test_one_agent_is_one() -> None:
    assert "calls per second, 50 agents at once" in texts(drawn(50))
    assert "calls per second, 1 agent" in texts(drawn(1))


def test_without_a_driver_there_is_no_bar_of_one() -> None:
    assert not bars(drawn(raw=None), RAW)
