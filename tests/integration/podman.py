"""Runs published images, in a temporary container store."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from integration.workspace import tool, wait_until

# What runs on machines that allow little.
_FREELY = ("--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
# Messages of podman on machines where containers cannot run.
_NOT_HERE = (
    *("cgroup", "Operation not permitted", "permission denied", "user namespace"),
    "container-init binary not found",
)


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


@contextlib.contextmanager
def podman_service() -> Iterator[str]:
    """What `DOCKER_HOST` has to be for the Docker API of podman, with an image store of its own.

    Skips the test where podman cannot run a linux/amd64 container.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("not a linux/amd64 machine")
    if os.geteuid() != 0:
        pytest.skip("podman runs containers here as root alone")
    tool("runc")
    podman = tool("podman")
    # podman refuses a path of more than 50 characters.
    directory = Path(tempfile.mkdtemp(prefix="podman-"))
    config = directory / "containers.conf"
    config.write_text(
        '[containers]\nnetns = "host"\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
    )
    url = f"unix://{directory}/docker.sock"
    argv = [podman, f"--root={directory}/root", f"--runroot={directory}/run"]
    argv += ["--storage-driver=vfs", "--runtime=runc", "--cgroup-manager=cgroupfs"]
    env = {**os.environ, "CONTAINERS_CONF": str(config)}
    log = directory / "log"
    with log.open("wb") as out:
        service = subprocess.Popen(
            [*argv, "system", "service", "--time=0", url],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(
            lambda: (directory / "docker.sock").exists() or service.poll() is not None, "podman"
        )
        if service.poll() is not None:
            pytest.skip(f"podman has no service here: {log.read_text()[-300:]}")
        yield url
    finally:
        subprocess.run([*argv, "rm", "--all", "--force", "--time=0"], env=env, check=False)
        service.terminate()
        service.wait(30)
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
