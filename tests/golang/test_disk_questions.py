"""What the go tool finds in a repo, read from the disk itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ko_pants import daemon_memory
from ko_pants.disk.answers import ask
from ko_pants.errors import KoPantsError
from ko_pants.golang.disk_questions import (
    FilesOf,
    HasEntry,
    ModuleFilesOf,
    ModulesOf,
    PackageHeads,
)
from ko_pants.golang.input_views import NamedFiles
from ko_pants.golang.workspace import ModulesNotFound

EMBED = b'package p\nimport _ "embed"\n//go:embed *.txt\nvar s string\n'


@pytest.fixture
def root(tmp_path: Path) -> str:
    daemon_memory.clear_all()
    return str(tmp_path)


def write(root: str, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        target = Path(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def test_the_heads_of_a_directory(root: str) -> None:
    write(
        root,
        {
            "p/a.go": b'package p\nimport "fmt"\n',
            "p/a_test.go": EMBED,
            "p/_ignored.go": b"package ignored\n",
            "p/asm.s": b'#include "asm.h"\n',
            "p/asm.h": b"",
            "p/x.syso": b"\0",
            "p/default.pgo": b"",
            "p/go.mod": b"module p\n",
            "p/README.md": b"",
            "p/below/b.go": b"package below\n",
        },
    )
    found = ask(root, PackageHeads("p"))
    assert [file.name for file in found.files] == ["_ignored.go", "a.go", "a_test.go"]
    assert found.files[1].imports == ("fmt",)
    assert found.files[2].embed_patterns == ("*.txt",)
    assert [file.name for file in found.other_files] == [
        *("asm.h", "asm.s", "default.pgo", "x.syso"),
    ]
    assert found.other_files[1].includes == ("asm.h",)
    assert found.has_go_mod


def test_a_directory_that_does_not_exist_has_nothing(root: str) -> None:
    found = ask(root, PackageHeads("none"))
    assert (found.path, found.files, found.other_files, found.has_go_mod) == ("none", (), (), False)


def test_a_link_to_a_file_of_the_repo_is_followed(root: str) -> None:
    write(root, {"real/a.go": b'package p\nimport "os"\n', "p/b.go": b"package p\n"})
    os.symlink("../real/a.go", f"{root}/p/a.go")
    assert [file.imports for file in ask(root, PackageHeads("p")).files] == [("os",), ()]


def test_a_file_of_a_build_that_cannot_be_read_is_an_error_and_a_test_is_none(root: str) -> None:
    write(root, {"p/b.go": b"package p\n"})
    os.symlink("nowhere.go", f"{root}/p/a_test.go")
    assert [file.name for file in ask(root, PackageHeads("p")).files] == ["b.go"]
    os.symlink("nowhere.go", f"{root}/q.go")
    with pytest.raises(KoPantsError, match=r"q\.go is a symbolic link to 'nowhere\.go'"):
        ask(root, PackageHeads(""))


def test_the_module_files_of_a_directory(root: str) -> None:
    files = {"m/go.mod": b"module m\n", "m/go.work": b"go 1.21\n", "m/vendor/modules.txt": b"# x\n"}
    write(root, {**files, "m/go.sum": b"", "n/vendor/other": b""})
    assert ask(root, ModuleFilesOf("m")) == files
    assert ask(root, ModuleFilesOf("n")) == ask(root, ModuleFilesOf("none")) == {}


def test_the_modules_of_a_go_work(root: str) -> None:
    write(
        root,
        {
            "go.work": b"go 1.21\nuse ./a\nuse ./b\n",
            "a/go.mod": b"module example.com/a\ngo 1.21\nreplace example.com/c => ../c\n",
            "b/go.mod": b"module example.com/b\ngo 1.21\n",
            "c/go.mod": b"module example.com/c\ngo 1.21\n",
        },
    )
    found = ask(root, ModulesOf(""))
    assert sorted((m.directory, m.main) for m in found.modules) == [
        *(("a", True), ("b", True), ("c", False)),
    ]
    assert found is ask(root, ModulesOf(""))
    alone = ask(root, ModulesOf("b", use_go_work=False))
    assert [module.directory for module in alone.modules] == ["b"]


def test_a_go_work_that_names_no_module_is_an_error(root: str) -> None:
    write(root, {"go.work": b"go 1.21\nuse ./none\n"})
    with pytest.raises(ModulesNotFound):
        ask(root, ModulesOf(""))


def test_files_of_a_view_and_entries(root: str) -> None:
    write(root, {"p/a.txt": b""})
    assert ask(root, FilesOf(NamedFiles(("p/a.txt", "p/b.txt")))) == {"p/a.txt"}
    assert [ask(root, HasEntry("p", name)) for name in ("a.txt", "b.txt")] == [True, False]
    assert not ask(root, HasEntry("none", "a.txt"))
