"""The module files of the repo."""

from __future__ import annotations

from rules.engine_runner import new_runner

from ko_pants.products import GoModules, GoModulesRequest


def test_every_module_file_of_the_repo() -> None:
    runner = new_runner([(GoModules, [GoModulesRequest])])
    files = {
        "b/go.mod": "module b\n",
        "b/go.sum": "",
        "a/go.work": "go 1.22\n",
        "go.mod": "malformed",
        "b/vendor/modules.txt": "# x v1\n",
        "vendor/modules.txt": "# y v1\n",
        "other/modules.txt": "",
        "b/main.go": "package main\n",
    }
    runner.write_files(files)
    found = runner.request(GoModules, [GoModulesRequest()]).files
    expected = ["a/go.work", "b/go.mod", "b/vendor/modules.txt", "go.mod", "vendor/modules.txt"]
    assert found == tuple((path, files[path].encode()) for path in expected)


def test_a_repo_without_any() -> None:
    runner = new_runner([(GoModules, [GoModulesRequest])])
    assert runner.request(GoModules, [GoModulesRequest()]) == GoModules(())
