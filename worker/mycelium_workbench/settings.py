"""What a workbench may do and how much of it, read once and frozen."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mycelium_workbench.errors import InvalidInput

KILO = 1024
MEGA = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one call may use."""

    seconds: float = 60.0
    """For which a command may run, at most, and for which it does unless told otherwise."""
    memory_mb: int = 2048
    """Of each process of a command, and of all of them together."""
    processes: int = 128
    """That a command has at the same time."""
    output_kb: int = 24
    """Of what a command wrote, or of a file's or a page's text, in one answer."""
    file_mb: int = 10
    """Of one file that is read, written or searched."""
    command_file_mb: int = 1024
    """Of one file that a command writes."""
    search_seconds: float = 10.0
    page_seconds: float = 30.0
    page_mb: int = 5
    """Of one page as it comes over the wire, and unpacked."""

    @property
    def output_bytes(self) -> int:
        return self.output_kb * KILO

    @property
    def file_bytes(self) -> int:
        return self.file_mb * MEGA

    @property
    def command_file_bytes(self) -> int:
        return self.command_file_mb * MEGA

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * MEGA

    @property
    def page_bytes(self) -> int:
        return self.page_mb * MEGA


@dataclass(frozen=True, slots=True)
class Settings:
    """One workbench."""

    root: Path
    """The folder that is worked in; everything else is out of reach."""
    network: bool = False
    """Whether commands may use the network."""
    unconfined: bool = False
    """Whether commands run without walls, with all that this user may do. Never chosen by itself."""
    readable: tuple[Path, ...] = ()
    """Folders besides the system's own that commands may read."""
    allowed_hosts: frozenset[tuple[str, int]] = frozenset()
    """Hosts and ports that pages may come from although their addresses are not for pages."""
    hidden: tuple[Path, ...] = ()
    """Files and folders of the root that no tool sees, besides every folder `.mycelium`."""
    audit: Path | None = None
    """The file that gets the lines of each call. None: stderr."""
    limits: Limits = field(default_factory=Limits)

    def check(self) -> None:
        """Refuse what no workbench can be made of, before a client is served.

        Raises:
            InvalidInput: naming it.
        """
        from mycelium_workbench.own import guarded, is_within  # helpers, which start often, do without

        root = Path(os.path.realpath(self.root))
        if not root.is_dir() or root == Path(root.anchor):
            raise InvalidInput(f"{self.root} is no folder to work in.", hint="Name one below the root of the system.")
        guarded(root)
        if low := [name for name, value in asdict(self.limits).items() if value <= 0]:
            raise InvalidInput(f"{', '.join(low)} must be above 0.", hint="Limits cannot be turned off.")
        if self.audit is not None and not self.audit.absolute().parent.is_dir():
            raise InvalidInput(f"There is no folder for {self.audit}.", hint="Make it, or name another file.")
        if self.audit is not None:
            audit = os.path.realpath(self.audit)
            if is_within(audit, str(root)) and not self._hides(audit, root):
                raise InvalidInput(
                    f"{self.audit} lies in the folder that is worked in.",
                    hint="Commands could change it: name another file.",
                )

    def _hides(self, path: str, root: Path) -> bool:
        from mycelium_workbench.hidden import way_is_hidden
        from mycelium_workbench.own import is_within

        hidden = [os.path.realpath(each) for each in self.hidden]
        return way_is_hidden(os.path.relpath(path, root)) or any(
            is_within(path, each) for each in hidden if not is_within(str(root), each)
        )
