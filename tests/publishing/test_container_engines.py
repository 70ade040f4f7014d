"""Which engine is meant, which platform runs here, and the shell texts around the engines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from posix_shells import command_of, in_every_shell

from ko_pants.errors import KoPantsError
from ko_pants.oci.platform import Platform
from ko_pants.publishing.container_engines import (
    RUN_EXECUTABLE,
    RUN_IMAGE,
    ContainerEngine,
    find_engine,
    machine_platform,
    platform_to_run,
)

AMD64, AMD64_V3 = Platform("linux", "amd64"), Platform("linux", "amd64", "v3")
ARM64 = Platform("linux", "arm64")

# Knows the images whose names are files in $STORE; notes what it was asked.
ENGINE = """#!/bin/sh
echo "$*" >> "$STORE/record"
case "$1 $2" in
  "image inspect") cat "$STORE/$5" 2> /dev/null || exit 1 ;;
  "load -i")
    [ -e "$STORE/refuses" ] && { echo "no room" >&2; exit 1; }
    echo id1 > "$STORE/name"; echo id1 > "$STORE/unique"; echo Loaded ;;
  "run --rm") exit 7 ;;
esac
"""


@pytest.mark.parametrize(
    ("choice", "installed", "socket", "expected"),
    [
        ("auto", ("docker", "podman"), True, "docker"),
        ("auto", ("docker", "podman"), False, "podman"),
        ("auto", ("docker",), False, "docker"),
        ("auto", ("podman",), True, "podman"),
        ("auto", (), True, None),
        ("docker", ("docker", "podman"), False, "docker"),
        ("podman", ("docker", "podman"), True, "podman"),
        ("executable", ("docker", "podman"), True, None),
    ],
)
def test_which_engine_is_meant(
    choice: str, installed: tuple[str, ...], socket: bool, expected: str | None, tmp_path: Path
) -> None:
    for name in installed:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    if socket:
        (tmp_path / ".docker" / "run").mkdir(parents=True)
        (tmp_path / ".docker" / "run" / "docker.sock").write_text("")
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    found = find_engine(choice, env, "option [ko].run_with")
    assert found == (expected and ContainerEngine(expected, f"{tmp_path}/{expected}"))


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_a_daemon_that_is_named(variable: str, tmp_path: Path) -> None:
    for name in ("docker", "podman"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    found = find_engine("auto", {"PATH": str(tmp_path), variable: "x"}, "option")
    assert found is not None
    assert found.name == "docker"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("docker", ["[ko].run_with is 'docker'", "PATH has no `docker`", "executable"]),
        ("podman", ["PATH has no `podman`"]),
        ("nerdctl", ["'nerdctl'", "auto, docker, podman, executable"]),
    ],
)
def test_an_engine_that_is_not_there(choice: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(KoPantsError) as e:
        find_engine(choice, {"PATH": str(tmp_path)}, "option [ko].run_with")
    for word in words:
        assert word in str(e.value)


@pytest.mark.parametrize(
    ("os_name", "machine", "expected"),
    [
        ("linux", "x86_64", "linux/amd64"),
        ("linux", "aarch64", "linux/arm64"),
        ("darwin", "arm64", "darwin/arm64"),
        ("freebsd13", "amd64", "freebsd/amd64"),
        ("linux", "armv7l", "linux/arm"),
        ("linux", "ppc64le", "linux/ppc64le"),
        ("linux", "i686", "linux/386"),
    ],
)
def test_this_machine_as_go_names_it(os_name: str, machine: str, expected: str) -> None:
    assert str(machine_platform(os_name, machine)) == expected


def test_a_machine_that_go_does_not_know() -> None:
    with pytest.raises(KoPantsError, match="sparc"):
        machine_platform("linux", "sparc")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], AMD64),
        ([ARM64, AMD64], AMD64),
        ([AMD64_V3, AMD64], AMD64),
        ([ARM64, AMD64_V3], AMD64_V3),
        ([ARM64], None),
    ],
)
def test_the_platform_that_runs_here(wanted: list[Platform], expected: Platform | None) -> None:
    assert platform_to_run(wanted, AMD64) == expected


class Store:
    """An engine that is a script, and the images that it has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.engine = root / "engine"
        self.engine.write_text(ENGINE)
        self.engine.chmod(0o755)

    def run(self, shell: str, *arguments: str) -> tuple[int, list[str], str]:
        """Exit code, what the engine was asked after `image inspect`, and standard error."""
        first = (str(self.engine), "archive", "name", "unique")
        done = subprocess.run(
            (*command_of(shell), "-c", RUN_IMAGE, "run", *first, *arguments),
            env={"PATH": "/usr/bin:/bin", "STORE": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        lines = (self.root / "record").read_text().splitlines()
        return done.returncode, [x for x in lines if "inspect" not in x], done.stderr


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@in_every_shell
def test_an_image_is_loaded_once(store: Store, shell: str) -> None:
    run = "run --rm --pull=never -i -p 80 name a b"
    arguments = ("-p", "80", "name", "a", "b")
    assert store.run(shell, *arguments)[:2] == (7, ["load -i archive", run])
    assert store.run(shell, *arguments)[:2] == (7, ["load -i archive", run, run])
    # Another image has taken the name.
    (store.root / "name").write_text("id2\n")
    assert store.run(shell, *arguments)[1][3:] == ["load -i archive", run]


@in_every_shell
def test_an_engine_that_fails_says_why(store: Store, shell: str) -> None:
    (store.root / "refuses").write_text("")
    assert store.run(shell, "name") == (125, ["load -i archive"], "no room\n")


@in_every_shell
@pytest.mark.parametrize(
    ("user", "expected"),
    [((), "p 1 d e"), (("x",), "p 1 x"), (("x y", "", "z"), "p 1 x y  z"), (("--",), "p 1 --")],
)
def test_arguments_take_the_place_of_the_default_ones(
    shell: str, user: tuple[str, ...], expected: str
) -> None:
    words = ("3", "5", "/bin/echo", "p", "1", "d", "e")
    done = subprocess.run(
        (*command_of(shell), "-c", RUN_EXECUTABLE, "run", *words, *user),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{expected}\n"


def test_an_executable_loads_nothing(tmp_path: Path) -> None:
    with pytest.raises(KoPantsError, match=r"'executable'; expected one of auto, docker, podman$"):
        find_engine("executable", {"PATH": str(tmp_path)}, "[ko].load_with", executable=False)
