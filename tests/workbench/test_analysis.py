"""`analyze_code`."""

import pytest

from tests.workbench.bench import Workbench, text_of

pytestmark = pytest.mark.anyio

LEAKY = "import subprocess\n\ndef run(word):\n    subprocess.call(word, shell=True)  # noqa: S602\n    eval(word)\n"


async def test_security_tells_what_is_dangerous_though_comments_hush_it(bench: Workbench) -> None:
    said = await bench.ask("analyze_code", code=LEAKY, analysis_type="security")
    assert (said["language"], said["analysis_type"], said["tool"]) == ("python", "security", "ruff")
    assert {"S602", "S307"} <= {each["rule"] for each in said["findings"]}
    (shell,) = [each for each in said["findings"] if each["rule"] == "S602"]
    assert (shell["line"], shell["severity"]) == (4, "high")
    assert sum(said["counts"].values()) == len(said["findings"])
    assert said["counts"]["high"] == 1


async def test_quality_and_performance_ask_for_other_things(bench: Workbench) -> None:
    code = "import os\nfound = []\nfor each in range(3):\n    found.append(each * 2)\n"
    quality = await bench.ask("analyze_code", code=code)
    assert [each["rule"] for each in quality["findings"]] == ["F401"]
    performance = await bench.ask("analyze_code", code=code, analysis_type="performance")
    assert "PERF401" in {each["rule"] for each in performance["findings"]}


BLOCKING = """import subprocess, time, urllib.request
async def wait():
    time.sleep(1)
    urllib.request.urlopen("http://example.com")
    subprocess.run(["true"])
    open("a")
"""


async def test_what_holds_up_everybody_else_is_a_matter_of_performance(bench: Workbench) -> None:
    said = await bench.ask("analyze_code", code=BLOCKING, analysis_type="performance")
    found = {(each["line"], each["rule"], each["severity"]) for each in said["findings"]}
    assert found == {(3, "ASYNC251", "high"), (4, "ASYNC210", "high"), (5, "ASYNC221", "high"), (6, "ASYNC230", "high")}


async def test_ends_of_lines_count_in_files_only(bench: Workbench) -> None:
    untidy = "x = 1  \n\n\n  "
    assert (await bench.ask("analyze_code", code=untidy))["findings"] == []
    assert (await bench.ask("analyze_code", code="x=1"))["findings"] == []
    (bench.root / "a.py").write_text(untidy)
    rules = {each["rule"] for each in (await bench.ask("analyze_code", path="a.py"))["findings"]}
    assert rules == {"W291", "W292", "W293"}


async def test_code_that_does_not_parse_is_a_finding(bench: Workbench) -> None:
    said = await bench.ask("analyze_code", code="def f(:\n")
    assert said["findings"][0]["rule"] == "invalid-syntax"
    assert said["findings"][0]["severity"] == "high"


async def test_clean_code_has_no_findings(bench: Workbench) -> None:
    result = await bench.call("analyze_code", code="ANSWER = 42\n", language="Python")
    assert text_of(result) == "quality: nothing found"


async def test_file_is_analysed_by_its_own_words_alone(bench: Workbench) -> None:
    (bench.root / "ruff.toml").write_text('lint.ignore = ["F401"]')
    (bench.root / "a.py").write_text("import os\n")
    assert [each["rule"] for each in (await bench.ask("analyze_code", path="a.py"))["findings"]] == ["F401"]
    assert (await bench.refused("analyze_code", path="../a.py"))["code"] == "outside_root"


async def test_what_cannot_be_analysed_is_refused(bench: Workbench) -> None:
    error = await bench.refused("analyze_code", code="fn main() {}", language="rust")
    assert (error["code"], error["supported"]) == ("unsupported_language", ["python"])
    assert (await bench.refused("analyze_code"))["code"] == "invalid_input"
    assert (await bench.refused("analyze_code", code="a", path="b"))["code"] == "invalid_input"
    assert (await bench.refused("analyze_code", code="a", analysis_type="beauty"))["code"] == "invalid_input"


async def test_many_findings_are_counted_and_cut(bench: Workbench) -> None:
    said = await bench.ask("analyze_code", code="import os\n" * 300)
    assert len(said["findings"]) == 200
    assert (sum(said["counts"].values()), said["more"]) == (300, 100)


async def test_code_without_end_and_findings_without_end_are_refused(bench: Workbench) -> None:
    assert (await bench.refused("analyze_code", code="#" * 1_100_000))["code"] == "too_large"
    (bench.root / "long.py").write_text("#" * 1_100_000)
    assert (await bench.refused("analyze_code", path="long.py"))["code"] == "too_large"
    assert (await bench.refused("analyze_code", code="import os\n" * 60_000))["code"] == "too_large"
