"""Teams of worker processes, whose last words are shown with whatever fails."""

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeAlias

import pytest

from mycelium.settings.network import RabbitMQ
from tests.network.workers import Team
from tests.support.rabbitmq import Names

NewTeam: TypeAlias = Callable[..., Team]
"""Gives a team for a store's URL and a broker's settings, with variables for its workers."""


@pytest.fixture
def new_team(tmp_path: Path) -> Generator[NewTeam]:
    teams: list[Team] = []

    def new(url: str, broker: RabbitMQ, **env: str) -> Team:
        teams.append(Team(tmp_path, url, broker, **env))
        return teams[-1]

    yield new
    for team in teams:
        print(team.last_words)  # noqa: T201 - pytest shows it if the test has failed


@pytest.fixture
def team(new_team: NewTeam, tmp_path: Path, corner: Names) -> Team:
    """A team on an SQLite store, in a corner of the shared node."""
    return new_team(f"sqlite:///{tmp_path}/team.db", corner.settings())
