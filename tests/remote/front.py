"""A REAPI server for tests: BuildGrid, behind a front that notes requests and fails on demand."""

from __future__ import annotations

import contextlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Mapping, Sequence

from remote.buildgrid import BuildGrid, buildgrid_environment

_SCRIPT = Path(__file__).with_name("reapi_front.py")


@dataclass(frozen=True)
class Call:
    """A request: which method, about which blob, and how many bytes of messages it moved.

    :param size: of the blob, in bytes.
    :param up: bytes that the client sent, `down` that it got.
    :param status: of gRPC.
    """

    method: str
    digest: str
    size: int
    up: int
    down: int
    status: str


@dataclass(frozen=True)
class Fault:
    """What happens to requests of `methods` about blobs of `min_size` to `max_size` bytes.

    :param code: the status that is answered; `FindMissingBlobs` says that these blobs are missing.
    :param delay: seconds before the answer.
    :param damage: the answer has other bytes than it should.
    :param kill: the server ends, in place of an answer.
    """

    methods: tuple[str, ...]
    code: str = ""
    delay: float = 0
    damage: bool = False
    kill: bool = False
    min_size: int = 0
    max_size: int = 1 << 40

    def as_json(self) -> dict[str, Any]:
        """As the front reads it."""
        values = {"delay": self.delay, "damage": self.damage, "kill": self.kill}
        code = {"code": self.code} if self.code else {}
        sizes = {"min_size": self.min_size, "max_size": self.max_size}
        return {"methods": self.methods, **sizes, **values, **code}


@dataclass(frozen=True)
class CachedProcess:
    """A process whose result is in the cache: all that its key is made of."""

    action: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    outputs: tuple[str, ...]
    input: str


class Front:
    """The running server; `address` is `HOST:PORT`."""

    def __init__(self, upstream: BuildGrid) -> None:
        self._upstream = upstream
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"

    def start(self) -> None:
        """Start the front, again at the same address if it ran before."""
        python = buildgrid_environment() / "bin" / "python"
        self._process = subprocess.Popen(
            [str(python), "-P", str(_SCRIPT), self.address, self._upstream.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        port = json.loads(self._process.stdout.readline())
        assert port, f"nothing can listen on {self.address}"
        self.address = f"127.0.0.1:{port}"

    def kill(self) -> None:
        """End it at once; connections break."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def has_ended(self) -> bool:
        """True if a fault has ended it."""
        return self._process is None or self._process.poll() is not None

    def fail(self, *faults: Fault) -> None:
        """Fail so from now on; without arguments, no longer."""
        self._ask({"do": "faults", "faults": [fault.as_json() for fault in faults]})

    def calls(self) -> list[Call]:
        """All requests since the start, or since `forget()`."""
        return [Call(**call) for call in self._ask({"do": "calls"})]

    def forget(self) -> None:
        """Begin a new list of requests."""
        self._ask({"do": "forget"})

    def stored_processes(self) -> list[CachedProcess]:
        """The processes whose results were sent since `forget()`."""
        calls = [c for c in self.calls() if c.method == "UpdateActionResult" and c.status == "OK"]
        actions = sorted({(call.digest, call.size) for call in calls})
        return [
            CachedProcess(
                found["action"],
                tuple(found["argv"]),
                found["env"],
                tuple(found["outputs"]),
                found["input"],
            )
            for found in self._ask({"do": "processes", "actions": actions})
        ]

    def _ask(self, command: Mapping[str, Any]) -> Any:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(command) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())


@contextlib.contextmanager
def reapi_server(directory: Path) -> Iterator[Front]:
    """A server with empty caches, whose files are below `directory`."""
    with BuildGrid(directory) as upstream:
        front = Front(upstream)
        front.start()
        try:
            yield front
        finally:
            front.kill()


def statuses(calls: Sequence[Call], method: str) -> list[str]:
    """The statuses of all requests of one method."""
    return [call.status for call in calls if call.method == method]
