"""Remote execution on loopback: BuildGrid, the PostgreSQL that it needs, and a worker.

    with RemoteExecution(directory, hidden=[...]) as service:
        ...  # remote_execution_address = remote_store_address = f"grpc://{service.address}"
        service.commands()

BuildGrid is from PyPI, PostgreSQL from Debian, the worker is `worker.py` beside this file. A test
that wants it is skipped, by name, where one of them cannot be had.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import pytest
from integration.workspace import wait_until
from remote.buildgrid import BuildGrid, buildgrid_environment

CONFIG = Path(__file__).with_name("buildgrid-execution.yml")
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Command:
    """What a worker ran.

    :param files: how many there were in its directory at the end.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    exit_code: int
    files: int
    stderr: str

    @property
    def step(self) -> str:
        """`go-build`, `go-list`, `python` or the like."""
        return self.argv[3] if self.argv[:2] == ("/bin/sh", "-c") else self.argv[0]


class RemoteExecution:
    """The service, with one worker that takes two commands at a time.

    :param hidden: directories of the client that commands cannot see.
    :param network: False if commands have none.
    """

    def __init__(
        self, directory: Path, *, hidden: Sequence[Path] = (), network: bool = False
    ) -> None:
        self.directory = directory
        self.log = directory / "commands"
        self._stack = contextlib.ExitStack()
        self._hidden = hidden
        self._network = network
        self._server: BuildGrid | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT`."""
        assert self._server is not None
        return self._server.address

    def commands(self) -> list[Command]:
        """What the worker ran, in the order of its ends."""
        if not self.log.exists():
            return []
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [Command(**{**entry, "argv": tuple(entry["argv"])}) for entry in entries]

    def forget(self) -> None:
        """Begin `commands()` anew."""
        self.log.unlink(missing_ok=True)

    def __enter__(self) -> RemoteExecution:
        with contextlib.ExitStack() as stack:
            self.directory.mkdir(parents=True, exist_ok=True)
            socket = stack.enter_context(postgres())
            config = CONFIG.read_text().replace("/run/postgresql", str(socket))
            _migrate(config)
            self._server = stack.enter_context(BuildGrid(self.directory / "server", config))
            self._start_worker(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stack.close()

    def _start_worker(self, stack: contextlib.ExitStack) -> None:
        options = [f"--hide={path}" for path in self._hidden]
        if not self._network:
            options.append("--no-network")
        output = stack.enter_context((self.directory / "worker-output").open("wb"))
        # -I: the modules beside the worker are not its own.
        worker = subprocess.Popen(
            [
                *(str(buildgrid_environment() / "bin" / "python"), "-I", str(WORKER)),
                *("--server", f"grpc://{self.address}", "--log", str(self.log)),
                *("--directory", str(self.directory / "work"), *options),
            ],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        stack.callback(worker.wait)
        stack.callback(worker.kill)


@contextlib.contextmanager
def postgres() -> Any:
    """A PostgreSQL with an empty database `bgd`; yields the directory of its socket."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not binaries:
        pytest.skip("PostgreSQL is not installed (Debian package postgresql)")
    # The path of a socket has at most 107 bytes.
    directory = Path(tempfile.mkdtemp(prefix="ko_pants_pg_"))
    # It refuses to run as root.
    user = _other_user()
    try:
        if user:
            shutil.chown(directory, user)
        as_user = ["setpriv", f"--reuid={user}", "--clear-groups"] if user else []

        def run(*argv: str) -> None:
            done = subprocess.run(
                [*as_user, *argv], cwd=directory, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr

        data = directory / "data"
        run(str(binaries[-1] / "initdb"), "-D", str(data), "-U", "bgd", "-A", "trust", "-N")
        with (directory / "log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *(*as_user, str(binaries[-1] / "postgres"), "-D", str(data), "-F"),
                    *("-k", str(directory), "-c", "listen_addresses="),
                ],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            ready = [str(binaries[-1] / "pg_isready"), "-q", "-h", str(directory)]
            wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL")
            run(str(binaries[-1] / "createdb"), "-h", str(directory), "-U", "bgd", "bgd")
            yield directory
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _other_user() -> str:
    """The user to run PostgreSQL as; empty for this one."""
    if os.geteuid() != 0:
        return ""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _migrate(config: str) -> None:
    (line,) = [line for line in config.splitlines() if "connection-string:" in line]
    connection = line.partition("connection-string:")[2].strip()
    done = subprocess.run(
        [str(buildgrid_environment() / "bin" / "bgd"), "migrate", "apply", connection],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
