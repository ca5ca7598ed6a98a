"""What goes wrong between us and a provider, sorted into what passes and what does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mycelium_worker.model import Busy, Rejected, Unusable
from mycelium_worker.plain import clipped

PASSES: Final = frozenset({408, 409, 425, 429})
"""What a later try may mend, besides the 500s."""
UNAUTHORIZED: Final = frozenset({401, 403})

STATUS: Final[Mapping[str, int]] = {
    "api_error": 500,
    "authentication_error": 401,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "timeout_error": 504,
}
"""The status that an error within a stream would have had, by its type."""


def of_status(status: int, message: str, headers: Mapping[str, str]) -> Busy | Rejected:
    """What an answer with this status means."""
    said = clipped(f"{status}: {message}", 500)
    if status in PASSES or status >= 500:
        return Busy(said, retry_after=retry_after(headers))
    if status in UNAUTHORIZED:
        return Unusable(f"{said}. Check the key.", code="model_unauthorized")
    if status == 404:
        return Unusable(f"{said}. Check the name of the model, and the address.", code="model_unknown")
    return Rejected(said, code="model_request_rejected")


def within_stream(kind: str, message: str) -> Busy | Rejected:
    """What an error means that came when the answer had begun. One that nobody knows may pass."""
    return of_status(STATUS.get(kind, 500), f"{kind}: {message}", {})


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that the provider asks us to wait, where it does so in seconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def broken(error: Exception) -> Busy:
    """A connection that did not come about or did not hold, or a stream that cannot be read."""
    return Busy(clipped(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 500))


def no_such_api(where: str, api: str) -> Unusable:
    """Something answers there that is no model."""
    return Unusable(f"What answers at {where} does not speak the {api}. Check the address.", code="model_unknown")
