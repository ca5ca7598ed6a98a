"""All layers, one over the other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from mycelium.settings.addresses import HIDDEN, without_password
from mycelium.settings.layers import file_layer, flag_layer, variable_layer
from mycelium.settings.model import Settings
from mycelium.settings.names import settings, value_of
from mycelium.settings.origin import Layer, Origin, flat
from mycelium.settings.problems import explained
from mycelium.settings.project import FOLDER, namespace_of, project_around
from mycelium.settings.within import with_address

FILE: Final = "config.json"
VARIABLE: Final = "MYCELIUM_CONFIG"
"""Names another file."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that the settings depend on, apart from the files themselves."""

    cwd: Path
    data_folder: Path
    """Where this user's programs keep their data."""
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    flags: Mapping[str, str] = field(default_factory=dict[str, str])
    """By the names of settings."""
    file: Path | None = None
    """Another file than the project's."""

    @classmethod
    def here(cls, flags: Mapping[str, str] | None = None, file: Path | None = None) -> Surroundings:
        """Those of this process."""
        from platformdirs import user_data_path

        data_folder = user_data_path("mycelium", appauthor=False)
        return cls(Path.cwd(), data_folder, environ=os.environ, flags=flags or {}, file=file)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is in force in one place, and where each value comes from."""

    settings: Settings = field(repr=False)  # its texts may hold passwords
    origins: Mapping[str, Origin]
    """Of the settings that somebody said anything of, by name."""
    cwd: Path
    project: Path | None
    folder: Path
    """`.mycelium` of the project, or outside every project this user's own: holds the file and SQLite's store."""
    file: Path
    """The file that was read, or would be."""

    def origin(self, name: str) -> Origin:
        return self.origins.get(name, Origin())

    def given(self, name: str) -> bool:
        """Whether anybody said anything of this setting."""
        return name in self.origins

    @property
    def namespace(self) -> str:
        return self.settings.coordination.redis.namespace or namespace_of(self.project)

    def shown(self, name: str) -> Any:
        """The value of a setting as anybody may see it."""
        if name == "coordination.redis.namespace":
            return self.namespace
        value = value_of(self.settings, name)
        if isinstance(value, SecretStr):
            return HIDDEN if value.get_secret_value() else None
        return without_password(value) if name == "coordination.redis.url" else value


def configuration(surroundings: Surroundings) -> Configuration:
    """What is in force here.

    Raises:
        InvalidConfig: names the setting, and the file, the variable or the flag that is wrong.
    """
    project = project_around(surroundings.cwd)
    folder = surroundings.data_folder if project is None else project / FOLDER
    named = surroundings.file or _named_by(surroundings.environ)
    file = folder / FILE if named is None else surroundings.cwd / named
    layers = (
        flag_layer(surroundings.flags),
        variable_layer(surroundings.environ),
        file_layer(file, must_exist=named is not None),
    )
    origins = {name: layer.origin_of(name) for layer in reversed(layers) for name in flat(layer.values)}
    settled, all_origins = with_address(_settled(layers, origins), origins)
    return Configuration(settled, all_origins, surroundings.cwd, project, folder, file)


def _named_by(environ: Mapping[str, str]) -> Path | None:
    named = environ.get(VARIABLE)
    return Path(named) if named else None


def _settled(layers: tuple[Layer, ...], origins: Mapping[str, Origin]) -> Settings:
    class Layered(Settings):
        """Takes its values from these layers; the first that says something counts."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *_: PydanticBaseSettingsSource, **__: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, dict(layer.values)) for layer in layers)

    try:
        return Layered()
    except ValidationError as error:
        raise explained(error, lambda name: origins.get(name, Origin())) from None


def settings_shown(found: Configuration) -> list[tuple[str, Any, Origin]]:
    """Every setting with what is in force, as anybody may see it, and where it comes from."""
    return [(name, found.shown(name), found.origin(name)) for name in settings()]
