"""A repository of a test's own, in which the real `./pants` runs with the plugin.

    with workspace(directory, caches) as w:
        w.write({"hello/go.mod": ..., "hello/main.go": ..., "hello/BUILD": "go_oci_image()\\n"})
        run = w.publish("::")
        run.images["hello:hello"]["digest"]

Each workspace has a Pants store, a KOCACHE and a daemon of its own; Go's build cache is shared by
all workspaces of a test session, so that the standard library is compiled once. Pants does not look
for plugins where there are none: see `quick_start/sitecustomize.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Sequence

import pytest

REPO = Path(__file__).resolve().parent.parent.parent
_STARTED = re.compile(r"\[INFO\] Starting: (.*)")
_ERROR = re.compile(r"\[ERROR\] ")

# Variables with which Pants starts as it does for users.
PLAIN_PANTS = {"PYTHONPATH": ""}

HELLO = """package main

import "fmt"

func main() {
	fmt.Println("hello")
}
"""

# Links and compiles several times faster than a program with fmt.
SMALL = """package main

func main() {
	println("small")
}
"""


def go_mod(module: str, *lines: str) -> str:
    """A go.mod for the oldest Go that the plugin supports."""
    return "\n".join((f"module {module}", "", "go 1.21", *lines, ""))


@dataclass(frozen=True)
class Run:
    """One run of Pants; `images` is its `--publish-output`, by target address."""

    exit_code: int
    stdout: str
    stderr: str
    images: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Standard output and standard error."""
        return self.stdout + self.stderr

    @property
    def processes(self) -> list[str]:
        """Descriptions of the processes that Pants started (no cache had them), sorted.

        Each is listed once. Pants starts a process again when the system reports an edit late.
        """
        return sorted({m.group(1).strip() for m in _STARTED.finditer(self.stderr)})

    @property
    def errors(self) -> list[str]:
        """The errors in the log, each with the lines that belong to it."""
        parts = re.split(r"(?m)^\d\d:\d\d:\d\d\.\d\d ", self.stderr)
        return [p.strip() for p in parts if _ERROR.match(p)]

    def ok(self) -> Run:
        """This run; fails the test if the run failed."""
        assert self.exit_code == 0, self.output
        return self


class Workspace:
    """A repository on disk; see the module."""

    def __init__(
        self,
        root: Path,
        caches: Path,
        *,
        options: str = "",
        store: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.root = root
        self.caches = caches
        self.store = store or root.parent / f"{root.name}-store"
        self.kocache = root.parent / f"{root.name}-kocache"
        self.home = root.parent / f"{root.name}-home"
        self.temporary = root.parent / f"{root.name}-tmp"
        self.env = {
            **_environment(),
            "HOME": str(self.home),
            # A killed daemon leaves files, which are deleted with the test's directories.
            "TMPDIR": str(self.temporary),
            "KOCACHE": str(self.kocache),
            **(env or {}),
        }
        root.mkdir(parents=True, exist_ok=True)
        self.home.mkdir(exist_ok=True)
        self.temporary.mkdir(exist_ok=True)
        self._numbers = iter(range(1_000_000))
        self.configure(options)

    def configure(self, options: str = "", *, pants: str = "") -> None:
        """Write pants.toml; `options` are further lines of `[ko]`, `pants` of `[GLOBAL]`.

        A change restarts the daemon or its scheduler.
        """
        (self.root / "pants.toml").write_text(
            "[GLOBAL]\n"
            f'pants_version = "{pants_version()}"\n'
            f'pythonpath = ["{REPO / "src" / "python"}"]\n'
            'backend_packages = ["ko_pants"]\n'
            f'local_store_dir = "{self.store}"\n'
            f'named_caches_dir = "{self.caches}"\n'
            f"{pants}\n"
            "[anonymous-telemetry]\nenabled = false\n"
            '[ko]\ndefault_base_image = "scratch"\n'
            f"{options}\n"
        )

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files, by path."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def remove(self, *names: str) -> None:
        """Delete files and directories."""
        for name in names:
            path = self.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def pants(self, *args: str, env: Mapping[str, str] | None = None) -> Run:
        """Run the launcher with these arguments and wait for it."""
        done = subprocess.run(
            self.argv(*args),
            cwd=self.root,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
            check=False,
        )
        return Run(
            done.returncode,
            done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"),
        )

    def publish(
        self, *targets: str, env: Mapping[str, str] | None = None, flags: Sequence[str] = ()
    ) -> Run:
        """`publish` with `--publish-output`."""
        output = self.root.parent / f"{self.root.name}-output-{next(self._numbers)}.json"
        run = self.pants(
            *flags, "publish", f"--publish-output={output}", *(targets or ("::",)), env=env
        )
        images = {}
        if output.exists():
            images = {entry["target"]: entry for entry in json.loads(output.read_text())}
        return Run(run.exit_code, run.stdout, run.stderr, images)

    def start(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start the launcher, its output in the pipe `stdout`; in a process group of its own."""
        return subprocess.Popen(
            self.argv(*args),
            cwd=self.root,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def argv(self, *args: str) -> list[str]:
        """The command line of a run."""
        return [str(REPO / "pants"), *args]

    def daemon_pids(self) -> list[int]:
        """The process of pantsd, if it runs."""
        pids = []
        # The directory of 2.17, and that of newer versions.
        found = [self.root.glob(f"{place}/*/pantsd/pid") for place in (".pids", ".pants.d/pids")]
        for path in itertools.chain(*found):
            with contextlib.suppress(ValueError, OSError):
                pids.append(int(path.read_text()))
        return [pid for pid in pids if is_running(pid)]

    def stop(self, signal_number: int = signal.SIGKILL) -> None:
        """End the daemon; the next run starts another."""
        for pid in self.daemon_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)
            wait_until(lambda pid=pid: not is_running(pid), f"pantsd {pid} to end")  # type: ignore[misc]

    def end_daemon(self) -> None:
        """End the daemon. Fails the test if none is found: the next run would be one of the old."""
        assert self.daemon_pids(), f"no daemon of {self.root} was found: where is its pid file?"
        self.stop()

    def maps(self) -> dict[str, bytes]:
        """Every file below `bin/` of KOCACHE, by path."""
        return {
            str(path.relative_to(self.kocache)): path.read_bytes()
            for path in sorted((self.kocache / "bin").rglob("*"))
            if path.is_file()
        }


@contextlib.contextmanager
def workspace(
    root: Path,
    caches: Path,
    *,
    options: str = "",
    store: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Workspace]:
    """A workspace at `root`, whose daemon ends with the context."""
    made = Workspace(root, caches, options=options, store=store, env=env)
    try:
        yield made
    finally:
        made.stop()


def pants_version() -> str:
    """The version that the repository pins."""
    match = re.search(r'(?m)^pants_version = "(.*)"', (REPO / "pants.toml").read_text())
    assert match
    return match.group(1)


def is_running(pid: int) -> bool:
    """True unless the process has ended, reaped or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def wait_until(
    condition: Callable[[], object], what: str | Callable[[], str], seconds: float = 60
) -> None:
    """Poll; fails the test if the condition does not come true.

    :param what: what is waited for; a function says it as it is at the end.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:.0f} s for {what() if callable(what) else what}")
        time.sleep(0.02)


def tool(name: str, package: str = "") -> str:
    """The path of a program that a test needs; skips the test, by its name, without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package {package or name})")
    return path


def _environment() -> dict[str, str]:
    """The part of the test's environment that a run gets: PATH and the like, no settings.

    Go reaches no network; a test says where modules come from.
    """
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GOPROXY": "off", "GOSUMDB": "off"}
    # HOME is another one here, so the launcher's environments are named.
    home = os.environ.get("PANTS_KO_HOME")
    if not home:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        home = os.path.join(cache, "ko_pants")
    env["PANTS_KO_HOME"] = home
    env["PYTHONPATH"] = str(Path(__file__).with_name("quick_start"))
    for name in ("PYTHON", "GOROOT", "PANTS_VERSION"):
        if name in os.environ:
            env[name] = os.environ[name]
    return env
