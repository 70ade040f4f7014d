"""The programs that are measured: our plugin under Pants, ko, and those that copy images."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from bench.monorepo import PLATFORMS, STANDARD_LIBRARY
from bench.registry import Registry

ROOT = Path(__file__).resolve().parent.parent

# Settings of the user would make runs differ between machines.
_DROPPED = ("GO", "KO_", "KOCACHE", "PANTS_CONFIG", "DOCKER_", "SOURCE_DATE_EPOCH", "CGO_")


class Failure(Exception):
    """A measured program failed. The text has its name and the end of its output."""


def environments_home() -> Path:
    """Where the launcher keeps environments with Pants; see `pants` at the root."""
    home = os.environ.get("PANTS_KO_HOME")
    if home:
        return Path(home).absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "ko_pants"


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without variables of Go, ko and Pants, and with `extra`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_DROPPED)}
    return {**kept, **extra}


def run(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
    """Run a program with its output in a file: a terminal would cost time.

    :raises Failure: the exit status is not 0.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise Failure(f"{' '.join(argv[:3])} ... ended with {done.returncode}:\n{tail}")


@dataclass
class Setting:
    """The settings that the tools of a workspace share.

    :param standard_library: a Go cache with the compiled standard library. Every tool starts with
        a copy of it, or with an empty cache if it is None.
    :param goproxy: GOPROXY for the modules that services require.
    """

    repo: Path
    state: Path
    registry: Registry
    standard_library: Optional[Path] = None
    goproxy: str = "off"
    platforms: tuple[str, ...] = PLATFORMS

    def go_environment(self) -> dict[str, str]:
        """The variables of Go. GOENV=off, because settings of `go env -w` would change the work."""
        return {
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GOPROXY": self.goproxy,
            "GOSUMDB": "off",
            "DOCKER_CONFIG": str(self.state / "docker"),
        }

    def environment(self) -> dict[str, str]:
        """The variables of Go, and those that the registry needs."""
        return {**self.go_environment(), **self.registry.environment}

    def copy_standard_library(self, target: Path) -> None:
        """Fill an empty Go cache at `target`."""
        if self.standard_library is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(self.standard_library, target)


class Ours:
    """`pants publish`, with pantsd, as users run it.

    `options` are lines for the section [ko] of pants.toml; they count from the next `forget` on.
    """

    name = "ko_pants"
    options = ""

    def __init__(
        self,
        setting: Setting,
        *,
        remote_cache: str = "",
        remote_options: Sequence[str] = (),
        prefix: str = "ours",
    ) -> None:
        self.setting = setting
        self.prefix = prefix
        self._remote_cache = remote_cache
        self._remote_options = remote_options
        self._number = 0
        self.forget()

    @property
    def state(self) -> Path:
        """The directory of all caches: `kocache`, `named` and `store`."""
        return self._state

    @property
    def kocache(self) -> Path:
        """The directory of the maps."""
        return self._state / "kocache"

    def forget(self) -> None:
        """Delete every cache. The standard library is there again if the setting has one."""
        self.stop()
        self._state = self.setting.state / f"ours-{self._number}"
        self._number += 1
        remove(self._state)
        self.setting.copy_standard_library(self._state / "named" / "ko_pants_gocache")
        self._configure()

    def start(self) -> None:
        """Start pantsd: the first publish of an image is seldom the first run of Pants."""
        self._pants("roots")

    def publish(self, paths: Sequence[str], *, tag: str = "latest") -> None:
        """Publish the images of these directories."""
        self._pants("publish", *(f"{path}:" for path in paths), tag=tag)

    def publish_all(self, paths: Sequence[str], *, tag: str = "latest") -> None:
        """Publish every image of the repo."""
        self._pants("publish", "::", tag=tag)

    def daemons(self) -> list[int]:
        """The process ids of the pantsd of this repo; one that has ended may be among them."""
        # The directory of 2.17, and that of newer versions.
        places = (".pids", ".pants.d/pids")
        found = [self.setting.repo.glob(f"{place}/*/pantsd/pid") for place in places]
        pids = []
        for path in itertools.chain(*found):
            with contextlib.suppress(OSError, ValueError):
                pids.append(int(path.read_text()))
        return pids

    def ask(self, *arguments: str) -> None:
        """Run another goal of Pants."""
        self._pants(*arguments)

    def cpu_seconds(self) -> float:
        """What the daemon has used since its start, in user and system mode; 0.0 without /proc."""
        return sum(self._times()[:2])

    def cpu_seconds_with_processes(self) -> float:
        """The same, and what the processes have used that it ran."""
        return sum(self._times())

    def _times(self) -> list[float]:
        """User and system time of the daemon, and those of its processes that have ended."""
        if not os.path.exists("/proc/self/stat"):
            return [0.0]
        # The name in parentheses can have spaces; the 14th to 17th fields are the times.
        fields = Path(f"/proc/{self._daemon()}/stat").read_text().rpartition(")")[2].split()
        return [int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:15]]

    def memory_mb(self) -> float:
        """The memory that the daemon has now (resident, in MB of a million bytes)."""
        if not os.path.exists("/proc/self/statm"):
            return 0.0
        pages = int(Path(f"/proc/{self._daemon()}/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)

    def _daemon(self) -> int:
        pids = self.daemons()
        if len(pids) != 1:
            raise Failure(f"expected one pantsd of {self.setting.repo}, found {pids}")
        return pids[0]

    def stop(self) -> None:
        """End the pantsd of this repo."""
        for pid in self.daemons():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
                _wait_for_end(pid)

    def remote_cache_problem(self) -> str:
        """The last run's warning about a remote cache, or "". Pants goes on without."""
        lines = (self.setting.state / "pants.log").read_text(errors="replace").splitlines()
        return next((line for line in lines if "remote cache" in line and "Failed" in line), "")

    def _pants(self, *arguments: str, tag: str = "latest") -> None:
        env = {**self.setting.environment(), "KOCACHE": str(self.kocache), "BENCH_TAG": tag}
        run(
            [str(ROOT / "pants"), *arguments],
            cwd=self.setting.repo,
            env=clean_environment(env),
            log=self.setting.state / "pants.log",
        )

    def _configure(self) -> None:
        setting = self.setting
        remote = ""
        if self._remote_cache:
            remote = (
                "remote_cache_read = true\nremote_cache_write = true\n"
                f"remote_store_address = {json.dumps(self._remote_cache)}\n"
                + "".join(f"{line}\n" for line in self._remote_options)
            )
        # GONOSUMDB and the like have their defaults; the plugin sets GOENV itself.
        (setting.repo / "pants.toml").write_text(
            global_options(ROOT / "src" / "python", "ko_pants", self._state) + f"{remote}\n"
            "[anonymous-telemetry]\nenabled = false\n\n"
            "[ko]\n"
            f"default_base_image = {json.dumps(setting.registry.base_image)}\n"
            f"default_platforms = {json.dumps(list(setting.platforms))}\n"
            f"{self.options}\n"
            "[ko.registries.bench]\n"
            f"address = {json.dumps(setting.registry.host)}\n"
            f'default = true\nrepository = "{self.prefix}/{{path}}"\n'
        )


class Ko:
    """`ko build`, one invocation for all services, with KOCACHE."""

    name = "ko"

    def __init__(self, setting: Setting, *, prefix: str = "ko") -> None:
        self.setting = setting
        self.prefix = prefix
        self._number = 0
        self.forget()

    @property
    def kocache(self) -> Path:
        """The directory of the maps."""
        return self._state / "kocache"

    def forget(self) -> None:
        """Delete every cache. The standard library is there again if the setting has one."""
        self._state = self.setting.state / f"ko-{self._number}"
        self._number += 1
        remove(self._state)
        self.kocache.mkdir(parents=True)
        self.setting.copy_standard_library(self._state / "gocache")

    def start(self) -> None:
        """Do nothing: ko has no daemon."""

    def publish(self, paths: Sequence[str], *, tag: str = "latest") -> None:
        """Publish the images of these directories."""
        env = {
            **self.setting.environment(),
            "GOFLAGS": "-modcacherw",
            "GOCACHE": str(self._state / "gocache"),
            "GOPATH": str(self._state / "gopath"),
            "KOCACHE": str(self.kocache),
            "KO_DOCKER_REPO": f"{self.setting.registry.host}/{self.prefix}",
            "KO_DEFAULTBASEIMAGE": self.setting.registry.base_image,
        }
        run(
            [
                *("ko", "build", f"--platform={','.join(self.setting.platforms)}"),
                *("--preserve-import-paths", "--sbom=none", f"--tags={tag}"),
                *(f"./{path}" if path else "." for path in paths),
            ],
            cwd=self.setting.repo,
            env=clean_environment(env),
            log=self.setting.state / "ko.log",
        )

    publish_all = publish


class GoBuild:
    """`go build -o directory/`, once per platform: the least that the executables can cost.

    It makes no layers and uploads nothing.
    """

    name = "go build"

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._number = 0
        self.forget()

    def forget(self) -> None:
        """Delete every cache. The standard library is there again if the setting has one."""
        self._state = self.setting.state / f"go-{self._number}"
        self._number += 1
        remove(self._state)
        self.setting.copy_standard_library(self._state / "gocache")

    def build(self, paths: Sequence[str]) -> None:
        """Build the executables of these directories for all platforms."""
        for number, platform in enumerate(self.setting.platforms):
            output = self._state / "out" / str(number)
            output.mkdir(parents=True, exist_ok=True)
            env = {
                **self.setting.go_environment(),
                **_go_platform(platform),
                "GOFLAGS": "-modcacherw",
                "GOCACHE": str(self._state / "gocache"),
                "GOPATH": str(self._state / "gopath"),
            }
            packages = (f"./{path}" if path else "." for path in paths)
            run(
                [*("go", "build", "-trimpath", "-buildvcs=false"), f"-o={output}/", *packages],
                cwd=self.setting.repo,
                env=clean_environment(env),
                log=self.setting.state / "go.log",
            )


@dataclass(frozen=True)
class Copier:
    """A program that copies an index with all its images from registry to registry."""

    name: str
    argv: tuple[str, ...]
    url: str = ""

    def copy(self, source: str, target: str, log: Path) -> None:
        """Copy reference to reference."""
        run(
            [*self.argv, self.url + source, self.url + target],
            cwd=log.parent,
            env=clean_environment({}),
            log=log,
        )


def copiers() -> tuple[list[Copier], list[str]]:
    """The copiers that are installed, and for the others the reason why not."""
    found, lacking = [], []
    if shutil.which("crane"):
        found.append(Copier("crane", ("crane", "copy", "--insecure")))
    else:
        lacking.append("crane is not on PATH")
    if shutil.which("skopeo"):
        tls = ("--src-tls-verify=false", "--dest-tls-verify=false")
        argv = ("skopeo", "copy", "--quiet", "--all", "--preserve-digests", *tls)
        found.append(Copier("skopeo", argv, "docker://"))
    else:
        lacking.append("skopeo is not on PATH")
    if not shutil.which("docker"):
        lacking.append("docker is not on PATH")
    elif not _succeeds("docker", "buildx", "version"):
        lacking.append("docker has no buildx, which copies images of several platforms")
    else:
        found.append(_DockerBuildx("docker", ("docker", "buildx", "imagetools", "create", "--tag")))
    return found, lacking


class _DockerBuildx(Copier):
    def copy(self, source: str, target: str, log: Path) -> None:
        run([*self.argv, target, source], cwd=log.parent, env=clean_environment({}), log=log)


def compile_standard_library(target: Path, platforms: Sequence[str]) -> None:
    """Fill a Go cache as ko and our plugin do it: no cgo, -trimpath.

    With KOCACHE, ko runs `go tool buildid`, which Go >= 1.25 compiles when it is first used. This
    is done here too, because it is no part of publishing.
    """
    target.mkdir(parents=True, exist_ok=True)
    run(
        ["go", "tool", "buildid", shutil.which("go") or "go"],
        cwd=target.parent,
        env=clean_environment({"GOENV": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(target)}),
        log=target.parent / "buildid.log",
    )
    for platform in platforms:
        env = {"GOENV": "off", "GOTOOLCHAIN": "local", "GOCACHE": str(target)}
        env.update(_go_platform(platform))
        run(
            ["go", "build", "-trimpath", "-buildvcs=false", *STANDARD_LIBRARY],
            cwd=target.parent,
            env=clean_environment(env),
            log=target.parent / "standard-library.log",
        )


def _go_platform(platform: str) -> dict[str, str]:
    """The variables of Go for a platform such as `linux/arm/v7`."""
    goos, goarch, variant = (*platform.split("/"), "")[:3]
    env = {"CGO_ENABLED": "0", "GOOS": goos, "GOARCH": goarch}
    if goarch == "arm":
        env["GOARM"] = variant.lstrip("v") or "7"
    return env


def versions(registry: Registry) -> dict[str, str]:
    """The version of each program, as the program prints it."""
    found = {"pants": _pants_version(), "registry": _first_line(registry.binary, "--version")}
    for name, argument in (("go", "version"), ("ko", "version"), ("crane", "version")):
        if shutil.which(name):
            found[name] = _first_line(name, argument)
    if shutil.which("skopeo"):
        found["skopeo"] = _first_line("skopeo", "--version")
    return found


def remove(path: Path) -> None:
    """Delete a tree, even with read-only directories (Go's module cache has them)."""
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o755)
    shutil.rmtree(path, ignore_errors=True)


def global_options(source: Path, backend: str, state: Path) -> str:
    """The start of a `pants.toml`: one backend below `source`, and caches of its own in `state`."""
    return (
        "[GLOBAL]\n"
        f"pants_version = {json.dumps(_pants_version())}\n"
        f"pythonpath = [{json.dumps(str(source))}]\n"
        f"backend_packages = [{json.dumps(backend)}]\n"
        f"local_store_dir = {json.dumps(str(state / 'store'))}\n"
        f"named_caches_dir = {json.dumps(str(state / 'named'))}\n"
    )


def _pants_version() -> str:
    given = os.environ.get("PANTS_VERSION")
    if given:
        return given
    for line in (ROOT / "pants.toml").read_text().splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "pants_version":
            return value.strip().strip("\"'")
    raise Failure(f"{ROOT / 'pants.toml'} has no pants_version")


def _first_line(*argv: str) -> str:
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return (done.stdout.splitlines() or [""])[0]


def _succeeds(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def _wait_for_end(pid: int) -> None:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except OSError:
            return
        time.sleep(0.1)
