"""Analyses of directories in the engine."""

from __future__ import annotations

import pytest
from pants.testutil.rule_runner import RuleRunner
from rules.engine_runner import new_runner

from ko_pants.golang.directory import GoDirectory
from ko_pants.products import AnalyzedDirectory, GoDirectoryRequest

SOURCE = 'package lib\nimport "fmt"\nfunc F() { fmt.Println(1) }\n'


@pytest.fixture
def runner() -> RuleRunner:
    return new_runner([(AnalyzedDirectory, [GoDirectoryRequest])])


def analyzed(runner: RuleRunner, path: str) -> GoDirectory:
    return runner.request(AnalyzedDirectory, [GoDirectoryRequest(path)]).directory


def test_the_files_of_one_directory(runner: RuleRunner) -> None:
    runner.write_files(
        {
            "a/b.go": SOURCE,
            "a/a.go": "package lib\n",
            "a/x.s": '#include "y.h"\n',
            "a/default.pgo": "",
            "a/z.syso": "",
            "a/z.txt": "",
            "a/below/c.go": "package below\n",
            "root.go": "package root\n",
        }
    )
    found = analyzed(runner, "a")
    assert found.path == "a"
    assert [file.name for file in found.files] == ["a.go", "b.go"]
    assert found.files[1].imports == ("fmt",)
    assert [file.name for file in found.other_files] == ["default.pgo", "x.s", "z.syso"]
    assert found.other_files[1].includes == ("y.h",)
    assert [file.name for file in analyzed(runner, "").files] == ["root.go"]


def test_an_edit_of_a_body_leaves_it_equal(runner: RuleRunner) -> None:
    runner.write_files({"a/b.go": SOURCE})
    before = analyzed(runner, "a")
    runner.write_files({"a/b.go": SOURCE.replace("1", "2")})
    assert analyzed(runner, "a") == before
    runner.write_files({"a/b.go": SOURCE.replace('"fmt"', '"os"')})
    assert analyzed(runner, "a") != before


def test_a_directory_that_does_not_exist_has_no_files(runner: RuleRunner) -> None:
    assert analyzed(runner, "nowhere") == GoDirectory("nowhere")
