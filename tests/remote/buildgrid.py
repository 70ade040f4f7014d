"""BuildGrid, a REAPI server from PyPI, on loopback: a CAS and an action cache.

    with BuildGrid(directory) as server:
        ...  # remote_store_address = f"grpc://{server.address}"

`scripts/buildgrid` makes the environment that it runs in. A test that wants it is skipped, by name,
where that cannot be made.
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
from pathlib import Path
from typing import Any

import pytest
from real_registry import free_port, wait_for_port

REPO = Path(__file__).resolve().parent.parent.parent
CONFIG = Path(__file__).with_name("buildgrid.yml")


@functools.cache
def buildgrid_environment() -> Path:
    """The environment with BuildGrid and grpcio; skips the test if it cannot be had."""
    done = subprocess.run(
        [str(REPO / "scripts" / "buildgrid")], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"BuildGrid is not installed (scripts/buildgrid): {done.stderr.strip()}")
    return Path(done.stdout.strip())


class BuildGrid:
    """A server whose blobs are below `directory`, started by the context manager or `start()`.

    :param config: a BuildGrid config, in which the address `127.0.0.1:50051` and the path
        `/var/lib/buildgrid` are replaced; by default `buildgrid.yml`, the one of the docs.
    """

    def __init__(self, directory: Path, config: str = "") -> None:
        self.directory = directory
        self.log = directory / "log"
        self.address = ""
        self._config = config or CONFIG.read_text()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start the server, again at the same address if it ran before; returns `HOST:PORT`."""
        bgd = buildgrid_environment() / "bin" / "bgd"
        self.directory.mkdir(parents=True, exist_ok=True)
        for _ in range(5):
            port = int(self.address.rpartition(":")[2] or free_port())
            config = self._config.replace("127.0.0.1:50051", f"127.0.0.1:{port}")
            config = config.replace("/var/lib/buildgrid", str(self.directory / "blobs"))
            (self.directory / "config.yml").write_text(config)
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [str(bgd), "server", "start", str(self.directory / "config.yml")],
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            if wait_for_port(port, self._process, self.log):
                self.address = f"127.0.0.1:{port}"
                return self.address
        pytest.fail(f"BuildGrid does not start: {self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        """End the server in good order: what is under way is answered."""
        self._end("terminate")

    def kill(self) -> None:
        """End the server at once."""
        self._end("kill")

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> BuildGrid:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.kill()
