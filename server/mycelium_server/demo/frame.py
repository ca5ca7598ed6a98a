"""One frame of the live view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mycelium_server.demo.state import AgentState, Happening, State, TaskState
from mycelium_server.demo.values import printable

COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "bright_red", "bright_cyan", "bright_magenta")
STATUS: Final = {"starting": "dim", "idle": "white", "busy": "green", "offline": "dim", "lost": "red"}
WIDEST: Final = 110
FIXED: Final = 11
"""Lines that everything but the agents, their tasks and the news takes."""


@dataclass(frozen=True, slots=True)
class Marks:
    """How a task looks on the board."""

    pending: str
    running: str
    completed: str
    failed: str


BLOCKS: Final = Marks("□", "▣", "■", "×")
ASCII: Final = Marks(".", "o", "#", "x")


@dataclass(frozen=True, slots=True)
class Frame:
    """The whole survey at one moment: agents, tasks with their progress, and the latest news."""

    title: str
    state: State
    seconds: float

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        marks = ASCII if options.ascii_only else BLOCKS
        options = options.update(width=min(options.max_width, WIDEST))
        rows = 2 * len(self.state.agents) + self._board_lines(options.max_width) + FIXED
        news = max(1, min(10, console.size.height - rows))
        tasks = Group(self._tasks(), self._board(marks), Text(), self._overall())
        whole = Group(_panel(self.title, self._agents()), _panel("Tasks", tasks), _panel("Events", self._news(news)))
        for segment in console.render(whole, options):
            yield _in_ascii(segment) if options.ascii_only else segment

    def _agents(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        for width in (10, 8, 8, None):
            table.add_column(width=width, ratio=None if width else 1, no_wrap=True, overflow="ellipsis")
        for agent in self.state.agents.values():
            table.add_row(*self._agent(agent))
        return table

    def _agent(self, agent: AgentState) -> list[Text]:
        task = self.state.tasks.get(agent.task_id or "")
        status = "busy" if task else agent.status
        return [
            Text(agent.name, style=f"bold {self._colour(agent.name)}"),
            Text(status, style=STATUS.get(status, "")),
            Text(f"{agent.done} done"),
            Text(_doing(task), style="dim"),
        ]

    def _tasks(self) -> Table:
        """The first and the last task, and a row for each agent's own in between, whether it has one or not."""
        table = _with_bars()
        first, *parts, last = self.state.tasks.values()
        running = [task for task in parts if task.status == "running"]
        for task in [first, *running]:
            table.add_row(*self._task(task))
        for _ in range(len(self.state.agents) - len(running)):
            table.add_row()
        table.add_row(*self._task(last))
        return table

    def _task(self, task: TaskState) -> list[RenderableType]:
        colour = self._colour(task.agent)
        bar = ProgressBar(total=1, completed=task.progress, complete_style=colour, finished_style=colour)
        share = f"{task.progress:.0%}" if task.status == "running" else task.status
        return [Text(task.title), bar, Text(share), Text(task.agent or "", style=colour)]

    def _board(self, marks: Marks) -> Text:
        board = Text()
        for task in list(self.state.tasks.values())[1:-1]:
            board.append(*self._cell(task, marks))
            board.append(" ")
        return board

    def _cell(self, task: TaskState, marks: Marks) -> tuple[str, str]:
        match task.status:
            case "pending":
                return marks.pending, "dim"
            case "running":
                return marks.running, self._colour(task.agent)
            case "completed":
                return marks.completed, self._colour(task.agent)
            case _:
                return marks.failed, "red"

    def _board_lines(self, width: int) -> int:
        return 1 + 2 * len(self.state.tasks) // max(width - 4, 1)

    def _overall(self) -> Table:
        table = _with_bars()
        bar = ProgressBar(total=1, completed=self.state.progress, complete_style="white", finished_style="green")
        ended = f"{self.state.ended} of {len(self.state.tasks)}"
        table.add_row(Text("Whole survey", style="bold"), bar, Text(ended), Text(f"{self.seconds:.1f} s"))
        return table

    def _news(self, lines: int) -> RenderableType:
        recent = [self._line(each) for each in list(self.state.recent)[-lines:]]
        return Group(*recent, *[Text()] * (lines - len(recent)))

    def _line(self, happening: Happening) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(f"{happening.time.astimezone():%H:%M:%S}  ", style="dim")
        line.append(f"{happening.agent or '':<10}", style=self._colour(happening.agent))
        return line.append(printable(happening.text))

    def _colour(self, agent: str | None) -> str:
        names = list(self.state.agents)
        return COLOURS[names.index(agent) % len(COLOURS)] if agent in names else "white"


def _in_ascii(segment: Segment) -> Segment:
    """No longer than it was: what the terminal would spell out instead would break the line."""
    text = segment.text.replace("…", "~").encode("ascii", "replace").decode()
    return Segment(text, segment.style, segment.control)


def _panel(title: str, content: RenderableType) -> Panel:
    return Panel(content, title=Text(title, style="bold"), title_align="left", border_style="cyan")


def _with_bars() -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=24, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=1)
    table.add_column(width=9, no_wrap=True)
    table.add_column(width=10, no_wrap=True, overflow="ellipsis")
    return table


def _doing(task: TaskState | None) -> str:
    if task is None:
        return ""
    return f"{task.name}: {printable(task.said)}" if task.said else task.name
