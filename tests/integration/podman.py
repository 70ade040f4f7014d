"""Runs published images, in a temporary container store."""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from integration.workspace import tool

# What runs on machines that allow little.
_FREELY = ("--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
# Messages of podman on machines where containers cannot run.
_NOT_HERE = ("cgroup", "Operation not permitted", "permission denied", "user namespace")


@contextlib.contextmanager
def podman_command(place: Path) -> Iterator[Path]:
    """A directory with a `podman` that has an image store of its own, and runs without limits.

    Skips the test where podman cannot run a linux/amd64 container.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("not a linux/amd64 machine")
    tool("runc")
    podman = tool("podman")
    # podman refuses a path of more than 50 characters.
    directory = tempfile.mkdtemp(prefix="podman-")
    place.mkdir(exist_ok=True)
    script = place / "podman"
    options = f"--root {directory}/root --runroot {directory}/run --storage-driver=vfs"
    script.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = run ]; then shift; set -- run {" ".join(_FREELY)} "$@"; fi\n'
        f'exec {podman} {options} --runtime=runc "$@"\n'
    )
    script.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def skip_without_containers(exit_code: int, output: str) -> None:
    """Skip the test if podman says that it cannot run containers here."""
    if exit_code in (125, 126) and any(sign in output for sign in _NOT_HERE):
        pytest.skip(f"podman cannot run containers here: {output.strip()[-300:]}")


def run_with_podman(source: str, *flags: str) -> str:
    """Pull `source` (with `flags`) and run it; returns what it printed.

    Skips the test where podman cannot run a linux/amd64 container.
    """
    with tempfile.TemporaryDirectory() as place, podman_command(Path(place)) as directory:
        podman = str(directory / "podman")
        pull = _run([podman, "pull", *flags, source])
        assert pull.returncode == 0, pull.stderr
        done = _run([podman, "run", "--rm", pull.stdout.split()[-1]])
    skip_without_containers(done.returncode, done.stderr)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
