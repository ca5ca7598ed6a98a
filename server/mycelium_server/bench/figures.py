"""What was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Literal, TypeAlias

Load: TypeAlias = Literal["alone", "together"]
"""One agent, one call after another; or all agents at once."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long calls took. The percentiles are milliseconds."""

    calls: int
    p50: float
    p95: float
    p99: float
    per_second: float | None
    """None where calls were not made as fast as they could be."""

    @classmethod
    def of(cls, taken: Sequence[float], seconds: float | None) -> Timing:
        """From the seconds that each call took, and all of them together."""
        ordered = sorted(taken)

        def percentile(part: float) -> float:
            return 1000 * ordered[max(0, ceil(part * len(ordered)) - 1)]

        rate = len(ordered) / seconds if seconds else None
        return cls(len(ordered), percentile(0.5), percentile(0.95), percentile(0.99), rate)


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of call under one load, by Mycelium and by the bare driver, where that has its like."""

    name: str
    load: Load
    agents: int
    mycelium: Timing
    raw: Timing | None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as Mycelium the bare driver is: by calls in a second, or else by the median."""
        if self.raw is None:
            return None
        if self.raw.per_second is not None and self.mycelium.per_second is not None:
            return self.raw.per_second / self.mycelium.per_second
        return self.mycelium.p50 / self.raw.p50 if self.raw.p50 else None


@dataclass(frozen=True, slots=True)
class Size:
    """What something takes, in bytes."""

    name: str
    bytes: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of one run."""

    mode: str
    store: str
    """Where it was, without secrets."""
    raw: str | None
    """What the bare driver is; None where there is none."""
    agents: int
    calls: int
    machine: str
    operations: Sequence[Operation]
    sizes: Sequence[Size]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, with the ratios."""
        operations = [{**asdict(each), "ratio": each.ratio} for each in self.operations]
        return {**asdict(self), "operations": operations}
