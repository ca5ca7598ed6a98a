"""Everything that a tool of the workbench refuses or cannot do, as one tree.

    WorkbenchError
    ├── InvalidInput           invalid_input           an argument is wrong
    │   ├── TooLarge           too_large               what was passed in, or would be written or read
    │   ├── InvalidPattern     invalid_pattern         a regular expression or a glob
    │   └── UnsupportedLanguage unsupported_language
    ├── OutsideRoot            outside_root            the path leads out of the folder that is worked in
    ├── Protected              protected               the path is of Mycelium's own code or state
    ├── NotFound               not_found
    ├── NotAFile               not_a_file              a folder, a device, a pipe
    ├── NotText                not_text
    ├── FileTrouble            file_trouble            the system says no: no room, no permission
    ├── NotAllowedAddress      not_allowed_address     a page in this machine or network
    ├── PageTrouble            page_trouble            no answer, or none that is a page
    ├── NoBrowser              no_browser              a picture was asked for
    ├── NoWalls                no_walls                commands cannot be confined here
    ├── TimedOut               timed_out
    ├── TooMuchOutput          too_much_output
    ├── TooMuchMemory          too_much_memory
    ├── TooManyProcesses       too_many_processes
    ├── ToolFailed             tool_failed             a program that a tool needs does not work
    └── InternalError          internal_error          the log has it in full

As everywhere in Mycelium, a leaf has a stable `code`, a sentence that says what is wrong, a `hint` that says what to do
next, and `data` for programs. The root is not Mycelium's: the programs beside the server see this package and the
standard library alone, and start in a tenth of the time.
"""

from __future__ import annotations

from typing import ClassVar


class WorkbenchError(Exception):
    """The root of all errors that the workbench raises on purpose."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data: dict[str, object] = {key: value for key, value in data.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-ready values: `code`, `message`, `hint` and whatever `data` holds."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class InvalidInput(WorkbenchError):
    """An argument is wrong; nothing was done."""

    code = "invalid_input"


class TooLarge(InvalidInput):
    """More than the workbench takes, reads or writes at once."""

    code = "too_large"


class InvalidPattern(InvalidInput):
    """No regular expression, or no glob."""

    code = "invalid_pattern"


class UnsupportedLanguage(InvalidInput):
    """No analyser for this language is here."""

    code = "unsupported_language"


class OutsideRoot(WorkbenchError):
    """The path leads out of the folder that is worked in."""

    code = "outside_root"


class Protected(WorkbenchError):
    """The path lies in code that this server itself runs, or in what Mycelium keeps for itself."""

    code = "protected"


class NotFound(WorkbenchError):
    """Nothing is there."""

    code = "not_found"


class NotAFile(WorkbenchError):
    """Something else than a regular file, or than a folder where one is needed."""

    code = "not_a_file"


class NotText(WorkbenchError):
    """The file is not UTF-8 text."""

    code = "not_text"


class FileTrouble(WorkbenchError):
    """The system refused; its own words are in the message."""

    code = "file_trouble"


class NotAllowedAddress(WorkbenchError):
    """An address that is not for pages: this machine, a private network, another scheme."""

    code = "not_allowed_address"


class PageTrouble(WorkbenchError):
    """The page could not be had."""

    code = "page_trouble"


class NoBrowser(WorkbenchError):
    """A picture needs a browser, and none works here."""

    code = "no_browser"


class NoWalls(WorkbenchError):
    """Commands cannot be confined on this system, and nobody allowed them to run unconfined."""

    code = "no_walls"


class TimedOut(WorkbenchError):
    """It took longer than it may; it was stopped."""

    code = "timed_out"


class TooMuchOutput(WorkbenchError):
    """The command wrote without end; it was stopped."""

    code = "too_much_output"


class TooMuchMemory(WorkbenchError):
    """The command's processes together used more memory than they may; they were stopped."""

    code = "too_much_memory"


class TooManyProcesses(WorkbenchError):
    """The command started more processes than it may; they were stopped."""

    code = "too_many_processes"


class ToolFailed(WorkbenchError):
    """A program that a tool is made of does not work here."""

    code = "tool_failed"


class InternalError(WorkbenchError):
    """Something that nobody expected."""

    code = "internal_error"
