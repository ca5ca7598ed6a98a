"""Import of Backlog.md's folder, one file for each task."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.test_migrate import refusal, tasks_of

INDEX = """---
id: task-2
title: 'Index: all products'
status: In Progress
assignee:
  - '@codex'
created_date: '2025-07-03 12:14'
updated_date: '2025-07-04 08:00'
labels: [search, shop]
dependencies: []
priority: high
---

## Description

<!-- SECTION:DESCRIPTION:BEGIN -->
Names and makers.

```md
## not a section
```
<!-- SECTION:DESCRIPTION:END -->

## Acceptance Criteria
<!-- AC:BEGIN -->
- [x] #1 All products are found
- [ ] #2 It takes less than a second
<!-- AC:END -->

## Implementation Plan

1. Read
2. Write
"""

PAGE = """---
id: task-10
title: Search page
status: To Do
assignee: []
created_date: '2025-07-03'
labels: []
dependencies:
  - TASK-2
  - task-1
---

Free words.
"""

PART = """---
id: task-10.1
title: Suggest while typing
status: Review
assignee: [@ada, @bob]
created_date: '03/07/25'
dependencies: []
parent_task_id: task-10
priority: medium
type: feature
---
"""

SHOP = """---
id: task-1
title: Open the shop
status: Done
assignee: @ada
created_date: '2025-07-01 09:00'
dependencies: []
---

## Implementation Notes

It is open.
"""


@pytest.fixture
def backlog() -> Path:
    """A folder as Backlog.md keeps it."""
    folder = Path("backlog")
    for name in ("tasks", "completed", "drafts"):
        (folder / name).mkdir(parents=True)
    (folder / "config.yml").write_text(
        'project_name: "Shop"\ndefault_status: "To Do"\nstatuses: ["To Do", "In Progress", "Review", "Done"]\n'
    )
    (folder / "tasks" / "task-2 - Index-all-products.md").write_text(INDEX, encoding="utf-8")
    (folder / "tasks" / "task-10 - Search-page.md").write_text(PAGE.replace("\n", "\r\n"), encoding="utf-8")
    (folder / "tasks" / "task-10.1 - Suggest.md").write_text(PART, encoding="utf-8")
    (folder / "tasks" / "readme.md").write_text("Not a task.\n", encoding="utf-8")
    (folder / "completed" / "task-1 - Open-the-shop.md").write_text(SHOP, encoding="utf-8")
    (folder / "drafts" / "task-7 - Idea.md").write_text(PAGE.replace("task-10", "task-7"), encoding="utf-8")
    return folder


@pytest.mark.parametrize("named", ["backlog", "."])
def test_each_file_becomes_a_task_of_one_workflow(mycelium: Command, backlog: Path, named: str) -> None:
    said = mycelium("import", named)
    assert (said.code, said.err) == (0, "4 tasks taken in from Backlog.md, in 1 workflow(s)\n")
    tasks = tasks_of(mycelium)
    assert [(id, task.status, task.blocked, task.depends_on) for id, task in tasks.items()] == [
        ("task-1", "completed", False, ()),
        ("task-2", "pending", False, ()),
        ("task-10", "pending", True, ("task-2", "task-1", "task-10.1")),
        ("task-10.1", "pending", True, ("task-2", "task-1")),
    ]
    assert [(task.title, task.type, task.priority, task.assigned_to, task.note) for task in tasks.values()] == [
        ("Open the shop", "task", "normal", "ada", ""),
        ("Index: all products", "task", "high", "codex", "In Progress in Backlog.md"),
        ("Search page", "task", "normal", None, ""),
        ("Suggest while typing", "feature", "normal", None, "Review in Backlog.md"),
    ]
    assert tasks["task-1"].result == {"status": "Done", "implementation_notes": "It is open."}
    assert tasks["task-2"].created_at == datetime(2025, 7, 3, 12, 14, tzinfo=UTC)
    assert tasks["task-2"].updated_at == datetime(2025, 7, 4, 8, 0, tzinfo=UTC)
    workflow = mycelium.with_store(lambda m: m.get_workflow("backlog"))
    assert workflow.metadata == {"project_name": "Shop", "imported_from": "Backlog.md"}


def test_everything_that_a_file_says_is_in_the_payload(mycelium: Command, backlog: Path) -> None:
    mycelium("import", "backlog")
    tasks = tasks_of(mycelium)
    assert tasks["task-2"].payload == {
        "id": "task-2",
        "title": "Index: all products",
        "status": "In Progress",
        "assignee": ["@codex"],
        "created_date": "2025-07-03 12:14",
        "updated_date": "2025-07-04 08:00",
        "labels": ["search", "shop"],
        "dependencies": [],
        "priority": "high",
        "description": "Names and makers.\n\n```md\n## not a section\n```",
        "acceptance_criteria": [
            {"text": "All products are found", "done": True},
            {"text": "It takes less than a second", "done": False},
        ],
        "implementation_plan": "1. Read\n2. Write",
    }
    assert tasks["task-10"].payload["text"] == "Free words."
    assert tasks["task-10.1"].payload["assignee"] == ["@ada", "@bob"]


def test_a_dependency_may_be_a_bare_number_or_have_an_older_prefix(mycelium: Command, backlog: Path) -> None:
    file = backlog / "tasks" / "task-10 - Search-page.md"
    file.write_text(PAGE.replace("TASK-2", "2").replace("- task-1", "- old-1"), encoding="utf-8")
    assert mycelium("import", "backlog").code == 0
    assert tasks_of(mycelium)["task-10"].depends_on == ("task-2", "task-1", "task-10.1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PAGE.replace("TASK-2", "task-99"), "task task-10 depends on task-99, which is not there"),
        (
            PAGE.replace("To Do", "Bogus"),
            "task task-10: unknown status 'Bogus' (known are To Do, In Progress, Review, ",
        ),
        (PAGE.replace("id: task-10\n", ""), "id is missing."),
        (PAGE.replace("id: task-10\n", "id:\n"), "id must not be empty."),
        (PAGE.replace("title: Search page", "title: [a]"), "title must be text."),
        ("no front matter\n", "it has no front matter"),
        ("---\nid: [\n---\n", "not YAML ("),
        ("---\n- id\n---\n", "its YAML is no mapping"),
        (PAGE.replace("labels: []", "labels: []\nlabels: {}: x"), "not YAML ("),
        (PAGE.replace("labels: []", "labels: &all [a]\nmore: *all"), "it repeats a part of itself (*all)"),
        (PAGE.replace("labels: []", f"labels: {'[' * 50_000}"), "its YAML has more than 50 levels"),
        (PAGE.replace("labels: []", "labels:\n" + "".join(f"{' ' * n}-\n" for n in range(60))), "its YAML has more"),
    ],
)
def test_a_file_that_is_wrong_is_named(mycelium: Command, backlog: Path, text: str, says: str) -> None:
    (backlog / "tasks" / "task-10 - Search-page.md").write_text(text, encoding="utf-8")
    assert refusal(mycelium, "backlog").startswith(f"invalid_input: backlog/tasks/task-10 - Search-page.md: {says}")


def test_two_files_of_one_task_and_circles_are_named(mycelium: Command, backlog: Path) -> None:
    twin = backlog / "completed" / "task-2 - Index.md"
    twin.write_text(INDEX, encoding="utf-8")
    said = refusal(mycelium, "backlog")
    assert "task task-2 in backlog/completed/task-2 - Index.md" in said
    assert "task task-2 in backlog/tasks/task-2 - Index-all-products.md" in said
    twin.unlink()
    index = backlog / "tasks" / "task-2 - Index-all-products.md"
    index.write_text(INDEX.replace("dependencies: []", "dependencies: [task-10]"), encoding="utf-8")
    assert "waits on itself: task-" in refusal(mycelium, "backlog")


def test_files_that_are_not_text_are_named_and_links_are_not_followed(mycelium: Command, backlog: Path) -> None:
    (backlog / "tasks" / "task-3 - Elsewhere.md").symlink_to("/etc/hostname")
    assert mycelium("import", "backlog").code == 0
    assert "task-3" not in tasks_of(mycelium)
    (backlog / "tasks" / "task-4 - Odd.md").write_bytes(b"---\n\xff\xfe")
    assert mycelium.fail(2, "import", "backlog").startswith("invalid_input: backlog/tasks/task-4 - Odd.md: not UTF-8")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"project_name: \xff", "not UTF-8"), (b"statuses: " + b"[" * 50_000, "its YAML has more than 50 levels")],
)
def test_a_configuration_that_is_wrong_is_named(mycelium: Command, backlog: Path, content: bytes, says: str) -> None:
    (backlog / "config.yml").write_bytes(content)
    assert refusal(mycelium, "backlog").startswith(f"invalid_input: backlog/config.yml: {says}")


def test_references_that_stand_for_billions_of_words_are_refused_at_once(mycelium: Command, backlog: Path) -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10))
    (backlog / "config.yml").write_text(f"l0: &l0 [{', '.join('x' * 9)}]\n{levels}\n")
    assert "it repeats a part of itself (*l0)" in refusal(mycelium, "backlog")


@pytest.mark.parametrize("id", ["\u00b2", "task-\u00b2", "9" * 5000, "task-" + "9" * 5000, "\u0663"])
def test_ids_of_odd_or_endless_digits_are_taken_like_any_other(mycelium: Command, backlog: Path, id: str) -> None:
    (backlog / "tasks" / "task-10.1 - Suggest.md").write_text(PART.replace("task-10.1", id), encoding="utf-8")
    assert mycelium("import", "backlog").code == 0
    assert id in [task.payload["id"] for task in tasks_of(mycelium).values()]


def test_tasks_come_in_the_order_of_their_numbers(mycelium: Command, backlog: Path) -> None:
    for number in ("3", "007", "11", "1" * 40):
        text = PART.replace("task-10.1", f"task-{number}").replace("parent_task_id: task-10\n", "")
        (backlog / "tasks" / f"task-{number} - x.md").write_text(text, encoding="utf-8")
    assert mycelium("import", "backlog").code == 0
    ids = mycelium.with_store(lambda m: m.get_workflow("backlog")).tasks
    assert ids == ("task-1", "task-2", "task-3", "task-007", "task-10", "task-10.1", "task-11", "task-" + "1" * 40)


def test_a_name_that_no_agent_can_have_binds_nobody(mycelium: Command, backlog: Path) -> None:
    file = backlog / "tasks" / "task-10.1 - Suggest.md"
    file.write_text(PART.replace("[@ada, @bob]", "['@\u65e5\u672c']"), encoding="utf-8")
    assert mycelium("import", "backlog").code == 0
    assert tasks_of(mycelium)["task-10.1"].assigned_to is None


@pytest.mark.parametrize(
    ("configured", "status", "becomes"),
    [
        ("statuses: [Idea, Doing, Shipped]", "shipped", "completed"),
        ("statuses: [Idea, Doing, Shipped]", "doing", "pending"),
        ("statuses: [Idea, Doing, Shipped]", "Done", "completed"),
        ("statuses: [Idea, Doing, Shipped]", "Canceled", "cancelled"),
        ("statuses: [Idea, Doing, Shipped]", "In Progress", "unknown"),
        ("default_status: Idea", "Idea", "pending"),
        ("default_status: Idea", "''", "pending"),
        ("statuses: []", "To Do", "pending"),
        ("statuses: []", "Review", "unknown"),
    ],
)
def test_the_configured_statuses_are_those_that_count(
    mycelium: Command, backlog: Path, configured: str, status: str, becomes: str
) -> None:
    (backlog / "config.yml").write_text(f"{configured}\n")
    for file in [*(backlog / "tasks").iterdir(), *(backlog / "completed").iterdir()]:
        file.unlink()
    page = PAGE.replace("To Do", status).replace("dependencies:\n  - TASK-2\n  - task-1\n", "")
    (backlog / "tasks" / "task-10 - Search.md").write_text(page)
    if becomes == "unknown":
        assert "task task-10: unknown status" in refusal(mycelium, "backlog")
    else:
        assert mycelium("import", "backlog").code == 0
        assert tasks_of(mycelium)["task-10"].status == becomes
