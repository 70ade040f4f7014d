"""Runs in the background, which a test ends, and servers that answer when a test says so."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from typing import Callable, Iterator

from fault_registry import FaultRegistry, Seen
from integration.workspace import Workspace, go_mod, wait_until
from slow_server import slow_server

SECONDS = 60.0
# What a user puts up with after Ctrl-C. The machine of a test may be busy.
PROMPT_SECONDS = 60.0


class Held:
    """A server that has been asked and does not answer before `release`."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._answer = threading.Event()

    def wait(self) -> None:
        """Called by the server."""
        self.asked.set()
        self._answer.wait(SECONDS)

    def release(self) -> None:
        """Let it answer."""
        self._answer.set()


@contextlib.contextmanager
def held_requests(registry: FaultRegistry, picks: Callable[[Seen], bool]) -> Iterator[Held]:
    """The registry does not answer the requests that a function picks, until the end."""
    held = Held()

    def on_request(seen: Seen) -> None:
        if picks(seen):
            held.wait()

    registry.on_request = on_request
    try:
        yield held
    finally:
        registry.on_request = lambda seen: None
        held.release()


def is_large_upload(seen: Seen) -> bool:
    """True for the bytes of a layer with a program."""
    return seen.endpoint == "PUT upload" and int(seen.headers.get("Content-Length", 0)) > 100_000


@contextlib.contextmanager
def unanswering_proxy() -> Iterator[tuple[str, Held]]:
    """The URL of a Go module proxy that does not answer before the end."""
    held = Held()
    with slow_server(held.wait) as url:
        yield url, held
        held.release()


def slow_program(missing: str) -> dict[str, str]:
    """A module `slow` with an image, whose compile needs a module that the proxy does not send."""
    sums = (
        f"{missing} v1.0.0{part} h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        for part in ("", "/go.mod")
    )
    return {
        "slow/go.mod": go_mod("example.com/slow", f"require {missing} v1.0.0"),
        "slow/go.sum": "".join(sums),
        "slow/main.go": f'package main\n\nimport _ "{missing}"\n\nfunc main() {{}}\n',
        "slow/BUILD": "go_oci_image()\n",
    }


class Client:
    """A run in the background."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line.decode("utf-8", "replace"))

    @property
    def output(self) -> str:
        """What it has written so far."""
        return "".join(self._lines)

    def wait_for(self, text: str) -> str:
        """The line with this text."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, text)
        return next((line for line in self._lines if text in line), self.output)

    def end(self, number: int, *, group: bool = False) -> str:
        """Send a signal, as a terminal does to the group, and wait for the end."""
        began = time.monotonic()
        (os.killpg if group else os.kill)(self.process.pid, number)
        self.process.wait(PROMPT_SECONDS)
        print(f"ended in {time.monotonic() - began:.2f} s")
        self._thread.join(SECONDS)
        assert self.process.returncode != 0, self.output
        return self.output


class OnTerminal:
    """A run on a terminal, which reads what it writes."""

    def __init__(self, repo: Workspace, *args: str) -> None:
        self._screen, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
        self._seen = bytearray()
        self.process = subprocess.Popen(
            repo.argv("--dynamic-ui", *args),
            cwd=repo.root,
            env={**repo.env, "TERM": "xterm"},
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            # So that it is the terminal of the run, which sends signals.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(there)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._seen += os.read(self._screen, 1 << 16)

    def press_ctrl_c(self) -> None:
        """What the terminal makes a SIGINT of."""
        os.write(self._screen, b"\x03")

    @property
    def output(self) -> str:
        """What is written so far, without escape sequences."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._seen.decode("utf-8", "replace"))

    def wait_for(self, text: str) -> None:
        """Wait until it is on the screen."""
        wait_until(lambda: text in self.output, lambda: f"{text!r} in\n{self.output}")
