"""Which files are analysed, and what is made of the findings."""

from pathlib import Path

from mycelium_server.demo import analysis
from mycelium_server.demo.analysis import Analysis, Finding, Findings, Severity, Wanted, analysis_of, by_file, longest

SECURITY = Wanted(path="a.py", kind="security")


def finding(line: int, rule: str, severity: Severity) -> Finding:
    return Finding(line=line, rule=rule, severity=severity, message=f"{rule} is bad")


def found(path: str, *findings: Finding, **counts: int) -> Analysis:
    given = Findings.model_validate({"findings": findings, "counts": {"high": 0, "medium": 0, "low": 0, **counts}})
    return Analysis(wanted=Wanted(path=path, kind="quality"), found=given)


def test_the_longest_files_are_chosen_and_tests_only_where_nothing_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    names = ["a.py", "b.py", "c.py", "tests/long.py", "test_longer.py", "empty.py"]
    for size, name in enumerate(names, 1):
        (tmp_path / name).write_text("x" * size)
    (tmp_path / "empty.py").write_text("")
    assert longest(tmp_path, [*names, "gone.py"]) == ["c.py", "b.py", "a.py", "test_longer.py"]


def test_what_people_did_not_write_is_not_analysed(tmp_path: Path) -> None:
    (tmp_path / "huge.py").write_text("x" * (analysis.LARGEST + 1))
    assert longest(tmp_path, ["huge.py"]) == []


def test_an_answer_is_read_from_the_tasks_result() -> None:
    answer = {
        "findings": [dict(finding(3, "S602", "high"))],
        "counts": {"high": 1, "medium": 0, "low": 0},
        "tool": "ruff",
    }
    result = {"response": [{"type": "tool_use", "name": "analyze_code", "results": answer}]}
    read = analysis_of(SECURITY, result, "")
    assert read.found is not None
    assert read.found.findings == (finding(3, "S602", "high"),)


def test_no_answer_and_one_of_another_shape_are_problems() -> None:
    assert analysis_of(SECURITY, None, "the task failed").problem == "the task failed"
    assert analysis_of(SECURITY, {"response": "?"}, "").problem == "there is no answer"
    odd = {"response": [{"type": "tool_use", "name": "analyze_code", "results": {"findings": "?"}}]}
    assert analysis_of(SECURITY, odd, "").problem == "what the tool answered cannot be read"


def test_a_file_has_the_findings_of_all_its_analyses_and_the_worst_file_is_first() -> None:
    files = by_file(
        [
            found("calm.py", finding(1, "E501", "low"), low=1),
            found("bad.py", finding(9, "B1", "medium"), medium=1),
            found("bad.py", finding(5, "S6", "high"), high=1, low=200),
            Analysis(wanted=SECURITY, problem="the task failed"),
        ]
    )
    assert [(file.path, dict(file.counts)) for file in files] == [
        ("bad.py", {"high": 1, "medium": 1, "low": 200}),
        ("calm.py", {"high": 0, "medium": 0, "low": 1}),
    ]
    assert [each.rule for each in files[0].findings] == ["S6", "B1"]


def test_among_alike_findings_each_rule_comes_before_any_comes_again() -> None:
    (file,) = by_file(
        [
            found(
                "a.py",
                *(finding(line, rule, "low") for line, rule in [(1, "E1"), (2, "E1"), (3, "E2"), (9, "E1")]),
                low=4,
            )
        ]
    )
    assert [(each.rule, each.line) for each in file.findings] == [("E1", 1), ("E2", 3), ("E1", 2), ("E1", 9)]
