"""The module files of directories."""

from __future__ import annotations

from rules.engine_runner import new_runner

from ko_pants.products import GoModules, GoModulesRequest

FILES = {
    "b/go.mod": "module b\n",
    "b/go.sum": "",
    "a/go.work": "go 1.22\n",
    "go.mod": "malformed",
    "b/vendor/modules.txt": "# x v1\n",
    "vendor/modules.txt": "# y v1\n",
    "other/modules.txt": "",
    "b/main.go": "package main\n",
}


def test_the_module_files_of_some_directories() -> None:
    runner = new_runner([(GoModules, [GoModulesRequest])])
    runner.write_files(FILES)
    found = runner.request(GoModules, [GoModulesRequest(("", "b", "none"))]).files
    expected = ["b/go.mod", "b/vendor/modules.txt", "go.mod", "vendor/modules.txt"]
    assert found == tuple((path, FILES[path].encode()) for path in expected)
    assert runner.request(GoModules, [GoModulesRequest(("none",))]) == GoModules(())
