"""The processes of the go tool: their arguments, and what their scripts do with a fake Go."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Mapping

import pytest
from posix_shells import command_of, in_every_shell

from ko_pants.golang.executable import HEAD_SIZE_BYTES
from ko_pants.golang.go_build import (
    BUILD_INFO_PATH,
    GO_CACHE,
    GO_LINKS,
    GO_PATH,
    OUTPUT_DIRECTORY,
    build_argv,
    head_argv,
    list_argv,
    vet_argv,
)
from ko_pants.golang.private_environment import split_environment
from ko_pants.golang.toolchain import Toolchain

# It notes how it was called, prints what the test wants, and makes the output of `-o`.
FAKE_GO = """#!/bin/sh
if [ "$1" = version ]; then
  for argument in "$@"; do echo "$argument"; done > "$RECORD.version"
  pwd >> "$RECORD.version"
  echo "GOFLAGS=$GOFLAGS" >> "$RECORD.version"
  cat "$RECORD.build_info" && exit
  echo half; echo "no file of Go" >&2; exit 1
fi
pwd > "$RECORD.pwd"
env | sort > "$RECORD.env"
for argument in "$@"; do echo "$argument"; done > "$RECORD.arguments"
cat "$RECORD.stdout"
cat "$RECORD.stderr" >&2
while [ $# -gt 0 ]; do [ "$1" = -o ] && cp "$RECORD.output" "$2"; shift; done
exit "$EXIT_CODE"
"""


GO = Toolchain("go1")


class Sandbox:
    """A directory as the engine makes it for a process, with a toolchain named `go1`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sandbox"
        self.record = root / "record"
        toolchain = root / "toolchain"
        for directory in (self.root / GO_LINKS, toolchain / "bin", self.root / "module"):
            directory.mkdir(parents=True)
        self.toolchain = toolchain.resolve()
        (toolchain / "bin/go").write_text(FAKE_GO)
        (toolchain / "bin/go").chmod(0o755)
        (toolchain / "VERSION").write_text("go1.99\ntime 2024-01-01T00:00:00Z\n")
        (self.root / GO_LINKS / "go1").symlink_to(toolchain)
        # The build id is some text in the command.
        (self.root / GO_LINKS / "go1.identity").write_text("go1.99\nEXIT_CODE\n")
        self.says()

    def says(self, *, stdout: str = "", stderr: str = "", output: bytes = b"") -> None:
        """What Go is to print, and the executable that it is to make."""
        Path(f"{self.record}.stdout").write_text(stdout)
        Path(f"{self.record}.stderr").write_text(stderr)
        Path(f"{self.record}.output").write_bytes(output)
        Path(f"{self.record}.build_info").write_bytes(b"./app: go1.99\n")

    def run(
        self, argv: tuple[str, ...], exit_code: int = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a process in the sandbox."""
        return subprocess.run(
            argv,
            cwd=self.root,
            env={
                "PATH": "/usr/bin:/bin",
                "RECORD": str(self.record),
                "EXIT_CODE": str(exit_code),
                **(env or {}),
            },
            capture_output=True,
            check=False,
        )

    def recorded(self, what: str) -> list[str]:
        """The lines that the fake Go noted: `pwd`, `env` or `arguments`."""
        return Path(f"{self.record}.{what}").read_text().splitlines()


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def test_a_build(sandbox: Sandbox) -> None:
    sandbox.says(stderr="a warning\n", output=b"executable" * HEAD_SIZE_BYTES)
    done = sandbox.run(build_argv(GO, "module", "./cmd/app", "app", ("-race", "-tags=a b")))
    root = os.path.realpath(sandbox.root)
    assert done.returncode == 0
    assert done.stderr == b"a warning\n"
    assert done.stdout == (b"executable" * HEAD_SIZE_BYTES)[: 8 * 1024]
    assert (sandbox.root / OUTPUT_DIRECTORY / "app").is_file()
    assert sandbox.recorded("pwd") == [f"{root}/module"]
    assert sandbox.recorded("arguments") == [
        *("build", "-trimpath", "-buildvcs=false", "-race", "-tags=a b"),
        *("-o", f"{root}/{OUTPUT_DIRECTORY}/app", "./cmd/app"),
    ]
    env = dict(line.split("=", 1) for line in sandbox.recorded("env") if "=" in line)
    assert env["GOROOT"] == str(sandbox.toolchain)
    assert env["PATH"] == f"{sandbox.toolchain}/bin:/usr/bin:/bin"
    assert (env["GOCACHE"], env["GOPATH"]) == (f"{root}/{GO_CACHE}", f"{root}/{GO_PATH}")
    assert env["GOMODCACHE"] == f"{root}/{GO_PATH}/pkg/mod"
    assert (env["GOENV"], env["GOTOOLCHAIN"]) == ("off", "local")
    assert env["TMPDIR"].startswith(root)
    assert env["HOME"].startswith(root)


def test_the_packages_that_go_lists_are_vetted(sandbox: Sandbox) -> None:
    sandbox.says(stdout="example.com/m/lib\nexample.com/m/cmd/app\n", stderr="a finding\n")
    checks = ("-printf=false", "-copylocks")
    argv = vet_argv(GO, "module", "./cmd/app", ("-tags=a b",), checks)
    done = sandbox.run(argv)
    assert (done.returncode, done.stderr) == (0, b"a finding\n")
    assert sandbox.recorded("arguments") == [
        *("vet", "-trimpath", "-buildvcs=false", "-tags=a b", *checks),
        *("example.com/m/lib", "example.com/m/cmd/app"),
    ]
    assert sandbox.recorded("pwd") == [f"{os.path.realpath(sandbox.root)}/module"]
    assert sandbox.run(argv, 1).returncode == 1


def test_without_packages_of_the_repo_nothing_is_vetted(sandbox: Sandbox) -> None:
    assert sandbox.run(vet_argv(GO, "module", "./cmd/app", (), ())).returncode == 0
    assert sandbox.recorded("arguments")[0] == "list"


def test_go_collects_garbage_half_as_often_unless_the_user_says_how_often(
    sandbox: Sandbox,
) -> None:
    build = build_argv(GO, "module", "./cmd/app", "app", ())
    sandbox.run(build)
    assert "GOGC=200" in sandbox.recorded("env")
    sandbox.run(build, env={"GOGC": "100"})
    assert "GOGC=100" in sandbox.recorded("env")


def test_the_build_info_of_an_executable(sandbox: Sandbox) -> None:
    sandbox.says(output=b"executable")
    build = build_argv(GO, "module", "./cmd/app", "app", ())
    done = sandbox.run(build, env={"GOFLAGS": "-json"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"executable", b"")
    assert (sandbox.root / BUILD_INFO_PATH).read_bytes() == b"./app: go1.99\n"
    directory = os.path.realpath(sandbox.root / OUTPUT_DIRECTORY)
    assert sandbox.recorded("version") == ["version", "-m", "./app", directory, "GOFLAGS="]


def test_an_executable_that_go_cannot_read_has_no_build_info(sandbox: Sandbox) -> None:
    sandbox.says(stderr="a warning\n", output=b"\0asm")
    Path(f"{sandbox.record}.build_info").unlink()
    done = sandbox.run(build_argv(GO, "module", ".", "app", ()))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\0asm", b"a warning\n")
    assert (sandbox.root / BUILD_INFO_PATH).read_bytes() == b""


def test_a_program_that_is_called_as_the_file_of_build_info(sandbox: Sandbox) -> None:
    sandbox.says(output=b"executable")
    sandbox.run(build_argv(GO, "module", ".", "build-info", ()))
    assert (sandbox.root / OUTPUT_DIRECTORY / "build-info").read_bytes() == b"executable"
    assert (sandbox.root / BUILD_INFO_PATH).read_bytes() == b"./app: go1.99\n"


def test_a_home_that_is_given_is_kept(sandbox: Sandbox) -> None:
    sandbox.run(build_argv(GO, ".", ".", "app", ()), env={"HOME": "/home/somebody"})
    assert "HOME=/home/somebody" in sandbox.recorded("env")
    assert sandbox.recorded("pwd") == [os.path.realpath(sandbox.root)]


@pytest.mark.parametrize("reduced", [False, True])
def test_a_build_that_fails(sandbox: Sandbox, reduced: bool) -> None:
    sandbox.says(stderr="main.go:1: syntax error\n")
    done = sandbox.run(build_argv(GO, ".", ".", "app", (), reduced=reduced), exit_code=1)
    assert done.returncode != 0
    assert (done.stdout, done.stderr) == (b"", b"main.go:1: syntax error\n")


@pytest.mark.parametrize(
    "text",
    [
        "x.go:3:2: no required module provides package example.com/y; to add it:\n",
        "missing go.sum entry for go.mod file\n",
        "go: updates to go.mod needed\n",
    ],
)
def test_a_module_that_a_reduced_go_mod_lacks_is_a_result(sandbox: Sandbox, text: str) -> None:
    sandbox.says(stderr=text)
    done = sandbox.run(build_argv(GO, ".", ".", "app", (), reduced=True), exit_code=1)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", text.encode())
    done = sandbox.run(build_argv(GO, ".", ".", "app", ()), exit_code=1)
    assert done.returncode != 0


def test_the_toolchain_is_not_there(sandbox: Sandbox) -> None:
    assert sandbox.run(build_argv(Toolchain("go2"), ".", ".", "app", ())).returncode != 0
    assert not Path(f"{sandbox.record}.arguments").exists()


def test_a_list_of_modules(sandbox: Sandbox) -> None:
    sandbox.says(stdout="example.com/b\nexample.com/a\n\nexample.com/b\n", stderr="text\n")
    done = sandbox.run(list_argv(GO, "module", ("a", "b"), ("x/y", "z")))
    assert done.returncode == 0
    assert done.stdout.split() == [b"example.com/a", b"example.com/b"]
    assert sandbox.recorded("pwd") == [f"{os.path.realpath(sandbox.root)}/module"]
    assert sandbox.recorded("arguments") == [
        *("list", "-deps", "-e", "-f"),
        *("{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}", "-tags=a,b", "x/y", "z"),
    ]


def test_a_list_without_tags_in_the_root(sandbox: Sandbox) -> None:
    sandbox.run(list_argv(GO, "", (), ("x",)))
    assert sandbox.recorded("arguments")[-1:] == ["x"]
    assert not [word for word in sandbox.recorded("arguments") if word.startswith("-tags")]
    assert sandbox.recorded("pwd") == [os.path.realpath(sandbox.root)]


# Options of each tool that the scripts call, as far as macOS has them too.
MAC_OPTIONS = {
    "head": ["-c"],
    "grep": ["-aqF", "-q", "-e"],
    "sed": [],
    "sort": ["-u"],
    "mkdir": ["-p"],
}
# Refuses other options. BSD's tools fail on bytes that are no text in the user's language, so the
# scripts have to name the C locale for those that read what Go wrote.
MAC_TOOL = """#!/bin/sh
case $0 in *sed | *grep)
  [ "${{LC_ALL-}}" = C ] || {{ echo "${{0##*/}}: illegal byte sequence" >&2; exit 1; }} ;;
esac
for word in "$@"; do
  case $word in -*) ;; *) continue ;; esac
  case " {options} " in *" $word "*) ;; *) echo "${{0##*/}}: illegal option" >&2; exit 1 ;; esac
done
exec {program} "$@"
"""


@pytest.fixture
def mac_tools(tmp_path: Path) -> Path:
    """A directory with the tools of the scripts, which take only options that macOS has."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, options in MAC_OPTIONS.items():
        program = shutil.which(name, path="/usr/bin:/bin")
        (tools / name).write_text(MAC_TOOL.format(options=" ".join(options), program=program))
        (tools / name).chmod(0o755)
    return tools


@in_every_shell
def test_every_shell_and_the_tools_of_a_mac_can_run_the_scripts(
    sandbox: Sandbox, mac_tools: Path, shell: str
) -> None:
    """As far as this can be seen on Linux."""
    start = command_of(shell)
    env = {"PATH": f"{mac_tools}:/usr/bin:/bin"}
    sandbox.says(stdout="b\na\nb\n", stderr="https://me@proxy.test caf\u00e9\n", output=b"\xff\0")
    build = build_argv(GO, "module", ".", "app", (), reduced=True)
    done = sandbox.run((*start, *build[1:]), env=env)
    shown = "https://***@proxy.test caf\u00e9\n"
    assert (done.returncode, done.stderr.decode()) == (0, shown)
    assert done.stdout.endswith(b"\xff\0")
    listed = sandbox.run((*start, *list_argv(GO, ".", (), ("x",))[1:]), env=env)
    assert (listed.returncode, listed.stdout, listed.stderr.decode()) == (0, b"a\nb\n", shown)
    sandbox.says(stderr="go: updates to go.mod needed\n")
    lacking = sandbox.run((*start, *build[1:]), exit_code=1, env=env)
    assert (lacking.returncode, lacking.stdout) == (0, b"")


def test_a_list_that_fails(sandbox: Sandbox) -> None:
    assert sandbox.run(list_argv(GO, ".", (), ("x",)), exit_code=1).returncode != 0


def test_the_head_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    path.write_bytes(b"x" * 40_000)
    done = subprocess.run(head_argv(str(path)), capture_output=True, check=True)
    assert done.stdout == b"x" * 32_768


def test_the_arguments_are_part_of_cache_keys() -> None:
    """Another text of a script is another key, for every program that was ever built."""
    argv = (
        *build_argv(GO, "m", "./p", "n", ("-f",), reduced=True),
        *list_argv(GO, "m", ("t",), ("x",)),
        *head_argv("f"),
    )
    assert hashlib.sha256("\0".join(argv).encode()).hexdigest() == (
        "fcd68dfb711edfb4ae9fcd595c7cac30a5dc6e2f4573ed141f3b682fa3a4233e"
    )
    assert build_argv(GO, "m", ".", "n", ())[6] == "whole"


REPLACED = b"was replaced while Pants worked with it: run Pants again"
CALLS = (build_argv(GO, ".", ".", "app", ()), list_argv(GO, ".", (), ("x",)))


@pytest.mark.parametrize("argv", CALLS, ids=["build", "list"])
@pytest.mark.parametrize("what", ["version", "command", "no VERSION", "no identity"])
def test_a_toolchain_that_is_not_the_one_of_the_name_is_refused(
    sandbox: Sandbox, argv: tuple[str, ...], what: str
) -> None:
    identity = sandbox.root / GO_LINKS / "go1.identity"
    if what == "version":
        (sandbox.toolchain / "VERSION").write_text("go1.99.1\ntime x\n")
    elif what == "command":
        identity.write_text("go1.99\nanother/build/id\n")
    else:
        (sandbox.toolchain / "VERSION" if what == "no VERSION" else identity).unlink()
    done = sandbox.run(argv)
    assert done.returncode == 1
    assert REPLACED in done.stderr
    assert str(sandbox.toolchain).encode() in done.stderr
    assert not Path(f"{sandbox.record}.arguments").exists(), "Go was run"


@pytest.mark.parametrize("argv", CALLS, ids=["build", "list"])
def test_a_toolchain_that_is_replaced_under_way_is_refused(
    sandbox: Sandbox, argv: tuple[str, ...]
) -> None:
    go = sandbox.toolchain / "bin/go"
    go.write_text(FAKE_GO.replace("pwd >", f"echo go2 > {sandbox.toolchain}/VERSION; pwd >"))
    sandbox.says(output=b"executable")
    done = sandbox.run(argv)
    assert (done.returncode, done.stdout) == (1, b"")
    assert REPLACED in done.stderr


@pytest.mark.parametrize("version", ["go1.99", "devel go1.99-abc Mon Jan 1\n"])
def test_version_files_of_other_forms(sandbox: Sandbox, version: str) -> None:
    (sandbox.toolchain / "VERSION").write_text(version)
    (sandbox.root / GO_LINKS / "go1.identity").write_text(f"{version.strip()}\n\n")
    assert sandbox.run(CALLS[0]).returncode == 0


def test_private_variables_come_from_a_file(sandbox: Sandbox) -> None:
    env = {"GOPROXY": "https://u:p'w$x@proxy.example.com,direct", "HOME": "/a b", "NETRC": "/n"}
    split = split_environment(env, env)
    (sandbox.root / GO_LINKS / split.file_name).write_bytes(split.file_content)
    assert sandbox.run(CALLS[0], env={"NETRC": "/own", **split.public}).returncode == 0
    found = dict(line.split("=", 1) for line in sandbox.recorded("env") if "=" in line)
    assert {name: found[name] for name in env} == {**env, "NETRC": "/own"}
    # What the target says of GOPROXY comes first.
    assert sandbox.run(CALLS[0], env={**split.public, "GOPROXY": "off"}).returncode == 0
    assert "GOPROXY=off" in sandbox.recorded("env")


@pytest.mark.parametrize("argv", CALLS, ids=["build", "list"])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_what_go_says_has_no_users_of_urls(
    sandbox: Sandbox, argv: tuple[str, ...], exit_code: int
) -> None:
    sandbox.says(stderr="# get https://t0ken:xxxxx@proxy.example.com/m/@v/list\n")
    done = sandbox.run(argv, exit_code=exit_code)
    assert done.stderr == b"# get https://***@proxy.example.com/m/@v/list\n"
