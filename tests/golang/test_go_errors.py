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
    assert "# example.com/other\n./x.go:1:2: undefined: x\n\ty\n" in text


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
    text = "# example.com/shop\n./main.go:4:2: undefined: missing\n\thave ()\n"
    assert explain_go_errors(text) == text.rstrip("\n")
    assert explain_go_errors("") == ""


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
    done = subprocess.run(
        [find_go(), "build", *flags, "-o", str(tmp_path / "out"), "."],
        cwd=tmp_path,
        env=go_env(Platform("linux", "amd64")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    text = explain_go_errors(done.stderr)
    assert hint in text
    assert len(text.splitlines()) <= 6
