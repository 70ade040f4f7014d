"""Headless Chromium, driven over a pair of pipes: the DevTools protocol.

So a test sees what a reader sees: sizes after layout, the console, every request, either theme.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import selectors
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

PHONE = (390, 844)
DESKTOP = (1280, 900)

# For one answer; a machine can be busy.
_SECONDS = 60
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-pipe",
)


class Tab:
    """One tab. `requests` are URLs that it asked for, `console` what it complained about."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> Dict[str, Any]:
        """Call a method of the protocol."""
        return self._browser.call(method, self._session, **params)

    def open(self, url: str, size: tuple[int, int], theme: str = "light") -> None:
        """Show a page on a screen of this size; `theme` is `light` or `dark`."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=size == PHONE,
        )
        feature = {"name": "prefers-color-scheme", "value": theme}
        self.call("Emulation.setEmulatedMedia", features=[feature])
        self.call("Page.navigate", url=url)
        self._browser.wait_for("Page.loadEventFired", self._session)

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until a JavaScript expression is true; fails the test after half a minute."""
        self.value(
            "(async () => {"
            "  const end = performance.now() + 30000;"
            f"  while (!({condition})) {{"
            "    if (performance.now() > end) throw new Error('waited for too long');"
            "    await new Promise(requestAnimationFrame);"
            "  }"
            "})()"
        )

    def press(self, key: str) -> None:
        """Press and release a key, as DevTools names it."""
        text = {"Enter": "\r"}.get(key, "")
        self.call(
            "Input.dispatchKeyEvent",
            type="keyDown",
            key=key,
            code=key,
            text=text,
            windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key],
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of the screen, or of the whole page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def requests(self) -> List[str]:
        """The URLs of all requests so far."""
        return [e["request"]["url"] for e in self._events("Network.requestWillBeSent")]

    @property
    def complaints(self) -> List[str]:
        """What stands in the console, uncaught errors and blocked resources among it."""
        # What the page has written itself comes after what was written before.
        mark = "everything before this line has come"
        self.value(f"console.log({mark!r})")
        while True:
            found = [
                json.dumps(event)
                for name in (
                    "Runtime.consoleAPICalled",
                    "Runtime.exceptionThrown",
                    "Log.entryAdded",
                )
                for event in self._events(name)
            ]
            if any(mark in line for line in found):
                return [line for line in found if mark not in line]
            self._browser.read_event()

    def _events(self, name: str) -> List[Dict[str, Any]]:
        return [
            event["params"]
            for event in self._browser.events
            if event["method"] == name and event.get("sessionId") == self._session
        ]


class Browser:
    """A running Chromium."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self._process = process
        self._commands = commands
        self._answers = answers
        self._numbers = itertools.count(1)
        self._read = b""
        self.events: List[Dict[str, Any]] = []

    def call(self, method: str, session: str = "", **params: object) -> Dict[str, Any]:
        """Call a method of the protocol, and wait for its answer."""
        number = next(self._numbers)
        message: Dict[str, object] = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        _write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                result: Dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def wait_for(self, event: str, session: str) -> None:
        """Wait for the next event of this name, or for the one that has just come."""
        while True:
            for position, known in enumerate(self.events):
                if known["method"] == event and known.get("sessionId") == session:
                    del self.events[position]
                    return
            self.read_event()

    def read_event(self) -> None:
        """Wait for one more event."""
        self.events.append(self._message())

    @contextlib.contextmanager
    def tab(self) -> Iterator[Tab]:
        """A new tab, which is closed in the end."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        yield Tab(self, session)
        self.call("Target.closeTarget", targetId=target)

    def _message(self) -> Dict[str, Any]:
        while b"\0" not in self._read:
            assert _is_readable(self._answers, _SECONDS), "chromium does not answer"
            chunk = os.read(self._answers, 1 << 16)
            assert chunk, f"chromium ended: {self._process.poll()}"
            self._read += chunk
        message, _, self._read = self._read.partition(b"\0")
        parsed: Dict[str, Any] = json.loads(message)
        return parsed


def _is_readable(handle: int, seconds: float) -> bool:
    # select.select() takes no handle of 1024 or more, and a run of all tests has as many.
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Start Chromium; skips the test, by its name, where there is none.

    :param profile: an empty directory.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed (Debian package chromium)")
    their_commands, commands = os.pipe()
    answers, their_answers = os.pipe()
    # It wants the pipes as 3 and 4.
    script = 'exec "$@" 3< "/dev/fd/$0" 4> "/dev/fd/$COUNTERPART"'
    process = subprocess.Popen(
        ["sh", "-c", script, str(their_commands), path, *_ARGUMENTS, f"--user-data-dir={profile}"],
        env={**os.environ, "COUNTERPART": str(their_answers), "HOME": str(profile)},
        pass_fds=(their_commands, their_answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_commands)
    os.close(their_answers)
    browser = Browser(process, commands, answers)
    try:
        yield browser
        browser.call("Browser.close")
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(commands)
        os.close(answers)
