"""What the parts of the settings are made of."""

from __future__ import annotations

import pathlib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

Timeout = Annotated[float, Field(gt=0, le=3600)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]+$")]


def _of_somebody(path: str) -> str:
    """The path, whose `~` or `~NAME`, if it begins so, leads to a folder."""
    try:
        pathlib.Path(path).expanduser()
    except RuntimeError:
        raise ValueError("no home folder is known for the user it begins with") from None
    return path


Path = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$"), AfterValidator(_of_somebody)]


def setting(default: Any, says: str, *variables: str) -> Any:
    """A field that these variables set, the first of them before the others."""
    return Field(default, description=says, json_schema_extra={"variables": list(variables)})


class Section(BaseModel):
    """A part of the file. Unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
