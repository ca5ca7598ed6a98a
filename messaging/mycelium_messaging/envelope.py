"""The form of every message that comes in or goes out: who it is, what it is about, and its payload."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NoReturn, cast

from pydantic import AfterValidator, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from mycelium.models.base import END_OF_TIME, MAX_JSON_BYTES, START_OF_TIME, JsonObject, Model
from mycelium_messaging import names
from mycelium_messaging.errors import BadMessage

AROUND: Final = 64 * 1024
"""Bytes that a message may have beside its payload."""
ID_BYTES: Final = 255
"""What AMQP has room for."""
MISSING: Final = "missing"
TOO_LARGE: Final = "too_large"


def _one_line(value: str) -> str:
    if not value.isprintable() or not 0 < len(value.encode()) <= ID_BYTES:
        raise PydanticCustomError("one_line", "wanted are 1 to {limit} bytes on one line", {"limit": ID_BYTES})
    return value


def _moment(value: object) -> object:
    """An ISO 8601 text as a time; one that names no zone is in UTC, which is how most programs mean it."""
    if value is None or isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise PydanticCustomError("iso_8601", "not a time as ISO 8601 has it")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _reckonable(moment: datetime | None) -> datetime | None:
    if moment is not None and not START_OF_TIME <= moment < END_OF_TIME:
        raise PydanticCustomError("out_of_range", "not a time to reckon with")
    return moment


OneLine = Annotated[str, AfterValidator(_one_line)]


class Envelope(Model):
    """One message. Fields that are not ours are let be: other programs may have more to say."""

    model_config = ConfigDict(extra="ignore")

    id: OneLine
    timestamp: Annotated[datetime | None, BeforeValidator(_moment), AfterValidator(_reckonable)] = None
    routing_key: OneLine
    payload: JsonObject
    source: OneLine | None = None


def parse(body: bytes, suffix: str | None = None) -> Envelope:
    """What the body says. Its own routing key counts, since it stays when a message takes another way.

    With `suffix`, the last part of the queue's name, the key must be one that this queue is for; without, any known.

    Raises:
        BadMessage: too_large, not_json, not_an_object, missing_field, invalid_field or unknown_routing_key.
    """
    if len(body) > MAX_JSON_BYTES + AROUND:
        raise BadMessage("too_large", f"The message has {len(body)} bytes, the limit is {MAX_JSON_BYTES + AROUND}.")
    said = _json(body)
    if not isinstance(said, dict):
        raise BadMessage("not_an_object", "The message is JSON, but not an object.")
    try:
        envelope = Envelope.model_validate(said)
    except ValidationError as error:
        raise _bad(error) from None
    _check_key(envelope.routing_key, suffix)
    return envelope


def id_in(body: bytes) -> str | None:
    """The id that the body says it has, whatever else may be wrong with it."""
    if len(body) > MAX_JSON_BYTES + AROUND:
        return None
    try:
        said = _json(body)
        given: object = cast("dict[str, Any]", said).get("id") if isinstance(said, dict) else None
        return _one_line(given) if isinstance(given, str) else None
    except (BadMessage, PydanticCustomError):
        return None


def render(envelope: Envelope) -> bytes:
    """The envelope as the body of a message."""
    moment = envelope.timestamp
    said = {
        "id": envelope.id,
        "timestamp": moment and iso_8601(moment),
        "routing_key": envelope.routing_key,
        "payload": envelope.payload,
        "source": envelope.source,
    }
    given = {name: value for name, value in said.items() if value is not None}
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()


def iso_8601(moment: datetime) -> str:
    """The time in UTC, as `2024-11-01T10:00:00Z`, with parts of seconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(body: bytes) -> Any:
    try:
        return _JSON.decode(body.decode("utf-8"))
    except RecursionError:
        raise BadMessage("not_json", "The message is nested too deeply.") from None
    except ValueError as error:  # not UTF-8, not JSON, a number too long, or what the hooks below refuse
        raise BadMessage("not_json", f"The message is not JSON: {str(error)[:200]}.") from None


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


_JSON: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)


def _bad(error: ValidationError) -> BadMessage:
    problems = error.errors(include_url=False, include_input=False)[:20]
    fields = sorted({str(problem["loc"][0]) if problem["loc"] else "" for problem in problems})
    kinds = {problem["type"] for problem in problems}
    said = "; ".join(f"{problem['loc'][0] if problem['loc'] else 'message'}: {problem['msg']}" for problem in problems)
    code = "missing_field" if MISSING in kinds else "too_large" if TOO_LARGE in kinds else "invalid_field"
    return BadMessage(code, f"The message is not an envelope: {said[:400]}.", fields=fields)


def _check_key(routing_key: str, suffix: str | None) -> None:
    if suffix is None:
        if not names.is_known(routing_key):
            raise BadMessage("unknown_routing_key", f"Nothing here goes under the routing key {routing_key!r}.")
    elif not names.is_bound(suffix, routing_key):
        raise BadMessage(
            "unknown_routing_key",
            f"The routing key {routing_key!r} does not belong in {suffix}, which is for "
            f"{' and '.join(names.BINDINGS.get(suffix, ())) or 'nothing'}.",
        )
