"""Go's message of a failed build: short, and with the field or option that helps."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from golang.trees import find_go, go_env

from ko_pants.golang.go_errors import explain_go_errors
from ko_pants.oci.platform import Platform

LINK = """\
# example.com/shop
flag provided but not defined: -foo
usage: link [options] main.o
  -B note
    \tset ELF NT_GNU_BUILD_ID note
  -V\tprint version and exit
"""


def test_the_usage_of_the_linker_is_cut_and_its_field_named() -> None:
    text = explain_go_errors(LINK)
    assert text.splitlines()[:3] == LINK.splitlines()[:3]
    assert "NT_GNU" not in text
    assert "print version" not in text
    assert "field `ldflags`" in text.splitlines()[3]
    assert len(text.splitlines()) == 4


def test_what_stands_behind_a_usage_stays() -> None:
    text = explain_go_errors(LINK + "# example.com/other\n./x.go:1:2: undefined: x\n\ty\n")
    assert "# example.com/other\nx.go:1:2: undefined: x\n\ty\n" in text


FILES = {"svc/main.go", "svc/lib/l.go", "other/o.go", "svc/go.mod"}


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("./main.go:3:5: undefined: x", "svc/main.go:3:5: undefined: x"),
        ("lib/l.go:3:5: undefined: x", "svc/lib/l.go:3:5: undefined: x"),
        ("../other/o.go:3:5: undefined: x", "other/o.go:3:5: undefined: x"),
        ("vet: ./main.go:3:5: undefined: x", "vet: svc/main.go:3:5: undefined: x"),
        ("go.mod:3: unknown directive: x", "svc/go.mod:3: unknown directive: x"),
        ("go: go.mod file not found", "go: go.mod file not found"),
        # What Go kept of a run in another sandbox, and paths of this one.
        ("../../pants-sandbox-A/svc/lib/l.go:3:5: x", "svc/lib/l.go:3:5: x"),
        ("../../../else/where/other/o.go:3:5: x", "other/o.go:3:5: x"),
        ("../../nobody/knows.go:3:5: x", "../nobody/knows.go:3:5: x"),
        ("/tmp/pants-sandbox-A/svc/lib/l.go:3:5: x", "svc/lib/l.go:3:5: x"),
        ("found a (a.go) in /t/pants-sandbox-A/svc/lib", "found a (a.go) in svc/lib"),
        # Modules of others.
        ("../.ko_pants/gopath/pkg/mod/t.test/x@v1.0.0/l.go:3:5: x", "t.test/x@v1.0.0/l.go:3:5: x"),
        ("../.ko_pants/modules/t.test/x@v1.0.0/l.go:3:5: x", "t.test/x@v1.0.0/l.go:3:5: x"),
        ("/usr/lib/go/src/fmt/print.go:3:5: x", "/usr/lib/go/src/fmt/print.go:3:5: x"),
        ("\thave (int)", "\thave (int)"),
        ("\t./main.go:3:6: other declaration", "\tsvc/main.go:3:6: other declaration"),
    ],
)  # fmt: skip
def test_paths_are_those_of_the_repo(line: str, shown: str) -> None:
    assert explain_go_errors(f"# p\n{line}\n", "svc", FILES) == f"# p\n{shown}"


@pytest.mark.parametrize(
    ("usage", "flag"),
    [("compile [options] file.go...", "-gcflags"), ("asm [options]", "-asmflags")],
)
def test_other_tools_name_the_flag(usage: str, flag: str) -> None:
    text = explain_go_errors(f"# p\nusage: {usage}\n  -x\n")
    assert "  -x" not in text
    assert f"{flag} in the field `flags`" in text


def test_a_flag_that_go_build_lacks_names_the_field() -> None:
    text = explain_go_errors("flag provided but not defined: -bogus\nusage: go build [-o output]\n")
    assert text.endswith("a flag of the field `flags` of the `go_executable`, or of GOFLAGS.")


@pytest.mark.parametrize(
    "line",
    [
        "go: go.mod requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)",
        "go: go.work requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)",
        "go: example.org/x@v1.0.0 requires go >= 1.99 (running go 1.26.8; GOTOOLCHAIN=local)",
    ],
)
def test_a_go_that_is_too_old_names_the_option(line: str) -> None:
    text = explain_go_errors(f"{line}\n{line}\n")
    assert text.startswith(line)
    assert text.count("[ko].go_search_paths") == 1
    assert "Go 1.26.8" in text
    assert "Go 1.99 or newer" in text


def test_other_errors_are_gos_own() -> None:
    text = "# example.com/shop\nmain.go:4:2: undefined: missing\n\thave ()\n"
    assert explain_go_errors(text) == text.rstrip("\n")
    assert explain_go_errors("") == ""


def printed_by_go(directory: Path, *flags: str) -> str:
    """What `go build` prints where it fails."""
    done = subprocess.run(
        [find_go(), "build", *flags, "-o", str(directory / "out"), "."],
        cwd=directory,
        env=go_env(Platform("linux", "amd64")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    return done.stderr


def test_two_programs_in_one_directory(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/shop\n\ngo 1.21\n")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.go").write_text("package main\n\nfunc main() {}\n")
    printed = printed_by_go(tmp_path)
    text = explain_go_errors(printed)
    assert text.startswith(printed.rstrip("\n").replace("./", ""))
    assert text.count("a directory of its own") == 1
    assert "//go:build ignore" in text


@pytest.mark.parametrize(
    ("flags", "go_version", "hint"),
    [
        (("-ldflags=-foo",), "1.21", "field `ldflags`"),
        (("-ldflags=-s extra",), "1.21", "field `ldflags`"),
        (("-ldflags=-X=main.v=a b",), "1.21", "quotes of its own"),
        (("-gcflags=-foo",), "1.21", "-gcflags in the field `flags`"),
        (("-bogus",), "1.21", "field `flags`"),
        ((), "1.99", "[ko].go_search_paths"),
    ],
)
def test_what_go_prints_is_understood(
    tmp_path: Path, flags: tuple[str, ...], go_version: str, hint: str
) -> None:
    (tmp_path / "go.mod").write_text(f"module example.com/shop\n\ngo {go_version}\n")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    text = explain_go_errors(printed_by_go(tmp_path, *flags))
    assert hint in text
    assert len(text.splitlines()) <= 6
