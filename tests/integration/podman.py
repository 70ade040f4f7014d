"""Runs published images, in a temporary container store."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile

import pytest
from integration.workspace import tool

# Messages of podman on machines where containers cannot run.
_NOT_HERE = ("cgroup", "Operation not permitted", "permission denied", "user namespace")


def run_with_podman(source: str, *flags: str) -> str:
    """Pull `source` (with `flags`) and run it; returns what it printed.

    Skips the test where podman cannot run a linux/amd64 container.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        pytest.skip("not a linux/amd64 machine")
    tool("runc")
    # podman refuses a path of more than 50 characters.
    directory = tempfile.mkdtemp(prefix="podman-")
    podman = [
        tool("podman"),
        *("--root", f"{directory}/root", "--runroot", f"{directory}/run"),
        *("--storage-driver=vfs", "--runtime=runc"),
    ]
    try:
        pull = _run([*podman, "pull", *flags, source])
        assert pull.returncode == 0, pull.stderr
        limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
        image = pull.stdout.split()[-1]
        done = _run([*podman, "run", "--rm", "--network=host", *limits, image])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if done.returncode in (125, 126) and any(sign in done.stderr for sign in _NOT_HERE):
        pytest.skip(f"podman cannot run containers here: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
