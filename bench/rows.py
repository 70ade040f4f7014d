"""The rows of the table: how each is set up, and what is timed for our tool and its peer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Union

from bench.measure import OURS, Outcome, Sample, median_cpu_ratio, no_daemon, once, take_turns
from bench.monorepo import (
    PLATFORMS,
    USERS_OF_A_LEAF,
    Monorepo,
    Shape,
    copy_as_repository,
    write_proxy,
)
from bench.registry import BASE_PLATFORMS, Registry
from bench.tools import (
    ROOT,
    Copier,
    Failure,
    GoBuild,
    Ko,
    Ours,
    Setting,
    clean_environment,
    compile_standard_library,
    copiers,
    remove,
    run,
)

_VERSIONS_OF_THIRD_PARTY = 64
_FRESH_SERVICES = 5

Tool = Union[Ours, Ko]


class Skip(Exception):
    """This machine cannot measure a row; the text says why."""


@dataclass
class Options:
    """The options of the command line."""

    work: Path
    services: int = 50
    many: int = 500
    many_programs: int = 0
    many_platforms: Sequence[str] = PLATFORMS
    changed_services: int = 1000
    changed_files: int = 10000
    runs: int = 5
    cold_runs: int = 1
    with_ko: bool = True
    repo_of_ko: Optional[Path] = None
    remote_cache: str = ""
    round_trip_ms: float = 40.0
    bandwidth: Optional[float] = None
    several_scopes: str = "all"
    token_lifetime: int = 300
    cloud_images: Sequence[int] = (1, 50, 500)


class Workspace:
    """A repository, a registry for it alone, and the tools that publish to that registry."""

    def __init__(
        self,
        bench: Bench,
        name: str,
        repo: Path,
        services: Sequence[str],
        registry: Optional[Registry] = None,
    ) -> None:
        self.bench = bench
        self.place: Path = bench.options.work / name
        self.repo = repo
        self.services: list[str] = list(services)
        self.registry: Registry = registry or Registry(self.place / "registry")
        self.registry.start()
        self.setting = Setting(repo, self.place, self.registry)
        self.monorepo: Optional[Monorepo] = None
        self.tools: list[Tool] = []
        self.first: dict[str, Sample] = {}

    def publish_first(self) -> None:
        """Publish with every tool for the first time, and keep the times."""
        for tool in self.tools:
            tool.start()
            self.first[tool.name] = once(
                tool.setting.registry,
                partial(tool.publish_all, self.services),
                self.daemons().get(tool.name, no_daemon),
            )
            self.bench.say(
                f"    {tool.name}, first publication: {self.first[tool.name].seconds:.1f} s"
            )

    def turns(
        self,
        *,
        edit: Optional[Callable[[], None]] = None,
        tags: Optional[Iterator[str]] = None,
        floor: Optional[Callable[[], None]] = None,
    ) -> Outcome:
        """Publish everything once per turn with every tool.

        :param floor: a build with the go tool alone, which takes its turn too.
        """
        tag = ["latest"]

        def before() -> None:
            if edit is not None:
                edit()
            if tags is not None:
                tag[0] = next(tags)

        def publish(tool: Tool) -> None:
            tool.publish_all(self.services, tag=tag[0])

        actions: dict[str, Callable[[], None]] = {t.name: partial(publish, t) for t in self.tools}
        if floor is not None:
            actions[GoBuild.name] = floor
        samples = take_turns(
            self.registry,
            actions,
            runs=self.bench.options.runs,
            before_turn=before,
            say=self.bench.say,
            daemons=self.daemons() if floor is not None else None,
        )
        return Outcome(samples)

    def daemons(self) -> dict[str, Callable[[], float]]:
        """What the daemons of the tools have used of the CPU, by the name of the tool."""
        return {t.name: t.cpu_seconds_with_processes for t in self.tools if isinstance(t, Ours)}

    def close(self) -> None:
        """Stop pantsd and the registry."""
        for tool in self.tools:
            if isinstance(tool, Ours):
                tool.stop()
        for registry in {tool.setting.registry for tool in self.tools} | {self.registry}:
            registry.close()


class Bench:
    """One run of the benchmark: its workspaces are made when a row needs them."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self._workspaces: dict[str, Workspace] = {}
        self._mirrors: list[Registry] = []

    def close(self) -> None:
        """Stop everything."""
        for workspace in self._workspaces.values():
            workspace.close()

    def drop(self, name: str) -> None:
        """Close a workspace and delete it, because the next row needs the disk space."""
        workspace = self._workspaces.pop(name, None)
        if workspace is not None:
            workspace.close()
            remove(workspace.place)

    def standard_library(self, platforms: Sequence[str]) -> Path:
        """A Go build cache with the compiled standard library for these platforms at least."""
        target = self.options.work / "standard-library" / "gocache"
        names = list(platforms)
        if "all" in names:
            names = [_platform_name(*platform) for platform in BASE_PLATFORMS]
        done = {name: target.parent / name.replace("/", "-") for name in names}
        lacking = [name for name in names if not done[name].exists()]
        if lacking:
            self.say(f"    compiling the standard library for {', '.join(lacking)}")
            compile_standard_library(target, lacking)
        for name in lacking:
            done[name].touch()
        return target

    def make(
        self,
        name: str,
        shape: Shape,
        *,
        platforms: Sequence[str] = PLATFORMS,
        with_ko: bool = True,
        warm_go: bool = True,
        registry: Optional[Callable[[Path], Registry]] = None,
    ) -> Workspace:
        """Generate a monorepo, and its tools with empty caches.

        :param registry: makes another registry than that on loopback.
        """
        self.drop(name)
        place = self.options.work / name
        remove(place)
        monorepo = Monorepo(place / "repo", shape)
        monorepo.generate()
        workspace = self._workspaces[name] = Workspace(
            self,
            name,
            monorepo.root,
            monorepo.services,
            registry(place / "registry") if registry is not None else None,
        )
        workspace.monorepo = monorepo
        setting = workspace.setting
        setting.platforms = tuple(platforms)
        if warm_go:
            setting.standard_library = self.standard_library(platforms)
        if shape.third_party:
            write_proxy(place / "proxy", _VERSIONS_OF_THIRD_PARTY)
            setting.goproxy = f"file://{place / 'proxy'}"
        workspace.tools = [Ours(setting)]
        if with_ko and self.ko_is_there():
            workspace.tools.append(Ko(setting))
        return workspace

    def ko_is_there(self) -> bool:
        """True if ko is on PATH and the command line wants it."""
        return self.options.with_ko and shutil.which("ko") is not None

    def published(self, name: str, make: Callable[[], Workspace]) -> Workspace:
        """The workspace of this name. It is made and published when it is first asked for."""
        if name not in self._workspaces:
            self.say(f"    setting up: {name}")
            make().publish_first()
        return self._workspaces[name]

    def one(self) -> Workspace:
        """One small service on five platforms."""
        return self.published("one", lambda: self.make("one", Shape(services=1)))

    def fleet(self) -> Workspace:
        """All services. Their go.mod requires a module that none of them uses."""
        shape = Shape(services=self.options.services, third_party=True)
        return self.published("fleet", lambda: self.make("fleet", shape))


def _monorepo(workspace: Workspace) -> Monorepo:
    assert workspace.monorepo is not None
    return workspace.monorepo


def _noop_one(bench: Bench) -> Outcome:
    return bench.one().turns()


def _noop_ko(bench: Bench) -> Outcome:
    source = bench.options.repo_of_ko or _source_of_ko()
    if not (source / "go.mod").is_file():
        raise Skip(f"{source} has no go.mod")

    def make() -> Workspace:
        place = bench.options.work / "ko-repo"
        remove(place)
        repo = copy_as_repository(source, place / "repo")
        (repo / "BUILD").write_text('go_oci_image(name="ko", repository="ours/ko")\n')
        # Its configuration names a base on the internet; both tools get the one on loopback.
        (repo / ".ko.yaml").unlink(missing_ok=True)
        workspace = bench._workspaces["ko-repo"] = Workspace(bench, "ko-repo", repo, [""])
        modules = subprocess.run(
            ["go", "env", "GOMODCACHE", "GOPROXY"], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.split()
        workspace.setting.goproxy = f"file://{modules[0]}/cache/download,{modules[1]}"
        workspace.tools = [Ours(workspace.setting)]
        if bench.ko_is_there():
            workspace.tools.append(Ko(workspace.setting))
        return workspace

    return bench.published("ko-repo", make).turns()


def _source_of_ko() -> Path:
    """The source of the ko on PATH, from Go's module cache or proxy."""
    ko = shutil.which("ko")
    if ko is None:
        raise Skip("no checkout of ko given (--repo-of-ko), and no ko on PATH to tell its version")
    built_from = _output("go", "version", "-m", ko).split()
    if "mod" not in built_from:
        raise Skip(f"{ko} does not tell what it was built from; give --repo-of-ko")
    module, version = built_from[built_from.index("mod") + 1 :][:2]
    found = _output("go", "mod", "download", "-json", f"{module}@{version}")
    if '"Dir"' not in found:
        raise Skip(f"{module}@{version}, the source of {ko}, is not to be had; give --repo-of-ko")
    return Path(json.loads(found)["Dir"])


def _output(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout


def _noop_fleet(bench: Bench) -> Outcome:
    return bench.fleet().turns()


def _new_tag(bench: Bench) -> Outcome:
    return bench.fleet().turns(tags=(f"v{number}" for number in range(1, 1000)))


def _leaf(bench: Bench) -> Outcome:
    workspace = bench.fleet()
    go = GoBuild(workspace.setting)
    users = workspace.services[:USERS_OF_A_LEAF]
    go.build(users)
    outcome = workspace.turns(edit=_monorepo(workspace).edit_leaf, floor=partial(go.build, users))
    return _with_cpu(outcome, len(users) * len(workspace.setting.platforms))


def _with_cpu(outcome: Outcome, executables: int) -> Outcome:
    """The same with CPU seconds for each executable, of us and of the go tool alone.

    Without /proc nothing is known of pantsd.
    """
    if not os.path.exists("/proc/self/stat"):
        return outcome
    for name in (OURS, GoBuild.name):
        seconds = statistics.median(sample.cpu_seconds for sample in outcome.samples[name])
        outcome.figures[f"CPU seconds for each executable, {name}"] = round(
            seconds / executables, 3
        )
    ratio = median_cpu_ratio(outcome.samples[OURS], outcome.samples[GoBuild.name])
    outcome.figures["CPU seconds, ko_pants / go build"] = round(ratio, 2)
    return outcome


def _service(bench: Bench) -> Outcome:
    workspace = bench.fleet()
    return workspace.turns(edit=_monorepo(workspace).edit_service)


def _readme(bench: Bench) -> Outcome:
    workspace = bench.fleet()
    outcome = workspace.turns(edit=_monorepo(workspace).edit_readme)
    sent = sum(s.requests.by_method.get("PUT", 0) for s in outcome.samples[OURS])
    outcome.figures["PUT requests of ko_pants, all runs"] = sent
    return outcome


def _bump(bench: Bench) -> Outcome:
    workspace = bench.fleet()
    return workspace.turns(edit=_monorepo(workspace).bump_third_party)


def _cold_one(bench: Bench) -> Outcome:
    return _cold(bench.one(), bench, warm_go=True)


def _cold_one_no_go(bench: Bench) -> Outcome:
    return _cold(bench.one(), bench, warm_go=False)


def _cold(workspace: Workspace, bench: Bench, *, warm_go: bool) -> Outcome:
    setting, kept = workspace.setting, workspace.setting.standard_library
    setting.standard_library = kept if warm_go else None
    outcome = Outcome()
    try:
        for _ in range(bench.options.cold_runs):
            for tool in workspace.tools:
                tool.forget()
                tool.start()
                workspace.registry.reset()
                sample = once(workspace.registry, partial(tool.publish_all, workspace.services))
                bench.say(f"    {tool.name}: {sample.seconds:.1f} s, {sample.requests} requests")
                outcome.samples.setdefault(tool.name, []).append(sample)
    finally:
        setting.standard_library = kept
    for tool in workspace.tools:  # later rows expect both to be published
        tool.publish_all(workspace.services)
    return outcome


def _cold_fleet(bench: Bench) -> Outcome:
    workspace = bench.fleet()
    outcome = Outcome({name: [sample] for name, sample in workspace.first.items()})
    go = GoBuild(workspace.setting)
    sample = once(workspace.registry, partial(go.build, workspace.services))
    bench.say(f"    {go.name}: {sample.seconds:.1f} s")
    outcome.samples[go.name] = [sample]
    return _with_cpu(outcome, len(workspace.services) * len(workspace.setting.platforms))


def _registry_lost(bench: Bench) -> Outcome:
    workspace = bench.one()
    found, lacking = copiers()
    place = workspace.place / "mirror"
    mirror = Registry(place)
    mirror.start()
    try:
        path = workspace.services[0]
        source = f"{mirror.host}/ours/{path}:latest"
        if found:
            found[0].copy(f"{workspace.registry.host}/ours/{path}:latest", source, place / "log")
        actions: dict[str, Callable[[], None]] = {
            tool.name: partial(tool.publish_all, workspace.services) for tool in workspace.tools
        }
        for copier in found:
            target = f"{workspace.registry.host}/{copier.name}/{path}:latest"
            actions[copier.name] = partial(copier.copy, source, target, place / "log")
        samples = take_turns(
            workspace.registry,
            actions,
            runs=bench.options.runs,
            before_each=workspace.registry.reset,
            say=bench.say,
        )
    finally:
        mirror.stop()
    for tool in workspace.tools:
        tool.publish_all(workspace.services)
    return Outcome(samples, notes=[f"skipped: {reason}" for reason in lacking])


def _caches_lost(bench: Bench) -> Outcome:
    workspace = bench.one()
    outcome = Outcome()
    for _ in range(bench.options.cold_runs):
        for tool in workspace.tools:
            tool.forget()
            tool.start()
            sample = once(workspace.registry, partial(tool.publish_all, workspace.services))
            bench.say(f"    {tool.name}: {sample.seconds:.1f} s, {sample.requests} requests")
            outcome.samples.setdefault(tool.name, []).append(sample)
    return outcome


def _all_platforms(bench: Bench) -> Outcome:
    def make() -> Workspace:
        return bench.make("all", Shape(services=1), platforms=["all"])

    return bench.published("all", make).turns()


def _layer(bench: Bench) -> Outcome:
    report = bench.options.work / "layer.json"
    run(
        [
            *(sys.executable, str(ROOT / "bench" / "layer_throughput.py")),
            *("--runs", str(bench.options.runs), "--json", str(report)),
        ],
        cwd=bench.options.work,
        env={**clean_environment({}), "PYTHONPATH": str(ROOT / "src" / "python")},
        log=bench.options.work / "layer.log",
    )
    found = json.loads(report.read_text())
    outcome = Outcome()
    for row in found["throughput"]:
        times = f", {row['times_go']} x Go" if "times_go" in row else ""
        outcome.notes.append(f"{row['name']}: {row['mb_per_s']} MB/s, ratio {row['ratio']}{times}")
        if row["name"].startswith("ours gzip-1") and "times_go" in row:
            outcome.figures[f"throughput, {row['name']} / Go gzip-1"] = row["times_go"]
    peaks = found["peak_bytes"]
    growth = (peaks["200 MB"] - peaks["20 MB"]) / 1e6
    outcome.figures["peak memory, growth from 20 MB to 200 MB (MB)"] = round(growth, 1)
    return outcome


@dataclass
class _Clone:
    """A fresh checkout on a machine without caches."""

    workspace: Workspace
    number: int = field(default=0)

    def setting(self) -> Setting:
        self.number += 1
        place = self.workspace.place / f"fresh-{self.number}"
        remove(place)
        place.mkdir(parents=True)
        subprocess.run(
            ["git", "clone", "--quiet", str(self.workspace.repo), str(place / "repo")], check=True
        )
        old = self.workspace.setting
        return Setting(place / "repo", place, old.registry, None, old.goproxy, old.platforms)


def _fresh_source(bench: Bench) -> Workspace:
    shape = Shape(services=_FRESH_SERVICES, tiny=True)
    return bench.published("fresh", lambda: bench.make("fresh", shape, warm_go=False))


def _fresh_kocache(bench: Bench) -> Outcome:
    workspace = _fresh_source(bench)
    clone = _Clone(workspace)
    outcome = Outcome()
    for _ in range(bench.options.cold_runs):
        for tool in workspace.tools:
            setting = clone.setting()
            fresh: Tool = Ours(setting) if isinstance(tool, Ours) else Ko(setting)
            shutil.copytree(tool.kocache, fresh.kocache, dirs_exist_ok=True)
            _publish_fresh(bench, workspace, fresh, outcome)
    return outcome


def _fresh_remote(bench: Bench) -> Outcome:
    workspace = _fresh_source(bench)
    clone = _Clone(workspace)
    outcome = Outcome()
    with remote_cache(bench) as (address, what):
        outcome.notes.append(f"remote cache: {what}; ko has none, it starts from nothing")
        seeder = Ours(clone.setting(), remote_cache=address)
        seeder.publish_all(workspace.services)
        seeder.stop()
        for _ in range(bench.options.cold_runs):
            for tool in workspace.tools:
                setting = clone.setting()
                fresh: Tool = (
                    Ours(setting, remote_cache=address) if isinstance(tool, Ours) else Ko(setting)
                )
                _publish_fresh(bench, workspace, fresh, outcome)
    return outcome


def _publish_fresh(bench: Bench, workspace: Workspace, tool: Tool, outcome: Outcome) -> None:
    """Publish from a fresh checkout. The time includes the start of pantsd, as in CI."""
    sample = once(workspace.registry, lambda: tool.publish_all(workspace.services))
    bench.say(f"    {tool.name}: {sample.seconds:.1f} s, {sample.requests} requests")
    outcome.samples.setdefault(tool.name, []).append(sample)
    if isinstance(tool, Ours):
        tool.stop()
        problem = tool.remote_cache_problem()
        if problem:
            raise Failure(f"the remote cache was not used: {problem}")
    remove(tool.setting.state)


# This process ends when its standard input is closed.
_STUB_CAS = """
import sys
from pants.engine.internals import native_engine
executor = native_engine.PyExecutor(1, 4)  # kept: the server ends with it
cas = native_engine.PyStubCAS.builder().build(executor)
print(cas.address, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def remote_cache(bench: Bench) -> Iterator[tuple[str, str]]:
    """The address of a remote cache, and what it is.

    :raises Skip: there is none.
    """
    given = bench.options.remote_cache
    if given:
        yield given, given
        return
    with subprocess.Popen(
        [sys.executable, "-c", _STUB_CAS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            if not address:
                raise Skip("this Pants brings no PyStubCAS; name a server with --remote-cache")
            yield address.replace("http://", "grpc://"), "the in-process server of Pants' wheel"
        finally:
            process.stdin.close()


def _platform_name(architecture: str, variant: str) -> str:
    name = f"linux/{architecture}"
    return f"{name}/{variant}" if architecture == "arm" else name


def _heads(bench: Bench) -> Outcome:
    from bench.heads import measure

    return measure(bench.options.work, bench.options.runs)


def _first_run(bench: Bench) -> Outcome:
    from bench.first_run import measure

    return measure(bench)


def _cold_sbom(bench: Bench) -> Outcome:
    from bench.sbom_row import measure

    return measure(bench)


def _ci(bench: Bench) -> Outcome:
    from bench.ci_row import measure

    return measure(bench)


@dataclass(frozen=True)
class Row:
    """A line of the table.

    :param target: the highest ratio of our time to that of ko that is good enough.
    """

    name: str
    title: str
    setup: str
    measured: str
    peer: str
    run: Callable[[Bench], Outcome]
    target: Optional[float] = None


_KO = "`ko build --platform=... -P --sbom=none ./services/...` with KOCACHE, all in one invocation"
_FLOOR = "`go build -o directory/` for each platform: executables without layers and uploads"
_PUBLISHED = "everything published by both tools"

ROWS = (
    Row("noop-one", "no-op, one small service", _PUBLISHED, "publish again", _KO, _noop_one, 0.12),
    Row(
        "noop-ko",
        "no-op, ko's own repo",
        "a copy of --repo-of-ko, or else of the module that ko on PATH was built from, published "
        "by both tools",
        "publish again",
        "`ko build -P .`",
        _noop_ko,
        0.06,
    ),
    Row(
        "registry-lost",
        "one service, caches warm, registry empty",
        "published before; the registry is emptied before every run",
        "publish again",
        f"{_KO}; `crane copy`, `skopeo copy --all`, `docker buildx imagetools create` of our "
        "index from another registry",
        _registry_lost,
    ),
    Row(
        "caches-lost",
        "one service, caches empty, registry has it",
        "published before; the tools' caches are emptied, Go's has the standard library",
        "publish again, pantsd running",
        _KO,
        _caches_lost,
    ),
    Row(
        "cold-one",
        "cold first publish, one service, standard library compiled",
        "empty caches and registry; Go's cache has the standard library for both tools",
        "publish, pantsd running",
        _KO,
        _cold_one,
        1.1,
    ),
    Row(
        "cold-one-go",
        "cold first publish, one service, Go's cache empty",
        "empty caches (Go's too, for both tools) and registry",
        "publish, pantsd running",
        _KO,
        _cold_one_no_go,
    ),
    Row(
        "all-platforms",
        f"no-op, one service, platforms `all` ({len(BASE_PLATFORMS)})",
        _PUBLISHED,
        "publish again",
        "`ko build --platform=all`",
        _all_platforms,
    ),
    Row(
        "cold-fleet",
        "cold first publish, all services, standard library compiled",
        "empty caches and registry; Go's cache has the standard library for both tools",
        "publish, once, pantsd running",
        f"{_KO}; {_FLOOR}",
        _cold_fleet,
        1.0,
    ),
    Row(
        "cold-sbom",
        "cold first publish with an SBOM in SPDX, all services, two platforms",
        "empty caches; an empty registry without referrers API; the standard library is compiled",
        "publish, pantsd running; --cold-runs times",
        "publish without SBOMs, and with SPDX, CycloneDX and provenance",
        _cold_sbom,
    ),
    Row(
        "heads",
        "HEADs of unchanged images: in a row, and one by one",
        "indexes on a registry, and a proxy before it that adds a round trip of 40 ms",
        "the check of `publish` in this process",
        "the same with the general client alone",
        _heads,
    ),
    Row(
        "first-run",
        "first run of a daemon, nothing changed, all services",
        f"{_PUBLISHED}; pantsd is ended, and started again by `roots`, before every run",
        "publish again",
        "publish once more",
        _first_run,
    ),
    Row("noop-fleet", "no-op, all services", _PUBLISHED, "publish again", _KO, _noop_fleet, 0.005),
    Row(
        "new-tag",
        "new tag, all services",
        f"{_PUBLISHED}; the tag is $BENCH_TAG, read by `env()` in `__defaults__` of the root",
        "publish under a tag that is new in every run",
        f"{_KO}, `--tags`",
        _new_tag,
        0.05,
    ),
    Row(
        "leaf",
        "one leaf edited that five services use",
        f"{_PUBLISHED}; another value of a constant that is printed, committed, in every run",
        "publish",
        f"{_KO}: its version stamp changes all of them; {_FLOOR}, for the five services",
        _leaf,
        0.15,
    ),
    Row(
        "service",
        "one service edited",
        f"{_PUBLISHED}; another constant in a main package, committed, in every run",
        "publish",
        _KO,
        _service,
    ),
    Row(
        "readme",
        "README-only commit",
        f"{_PUBLISHED}; two README files change and are committed in every run",
        "publish",
        _KO,
        _readme,
        0.005,
    ),
    Row(
        "go-mod-bump",
        "go.mod: another version of a module that no service uses",
        f"{_PUBLISHED}; a require line and go.sum change and are committed in every run; the "
        "module comes from a file:// GOPROXY",
        "publish",
        _KO,
        _bump,
    ),
    Row(
        "layer",
        "layer of a large executable",
        "bench/layer_throughput.py",
        "MB/s of input, compressed ratio, peak memory",
        "Go's compress/gzip at level 1, which ko uses",
        _layer,
    ),
    Row(
        "fresh-kocache",
        "fresh runner with KOCACHE only",
        f"a new clone of {_FRESH_SERVICES} services that import os only, a copy of KOCACHE, "
        "nothing else: Go's cache is empty for both tools",
        "publish, with the start of pantsd",
        _KO,
        _fresh_kocache,
    ),
    Row(
        "fresh-remote",
        "fresh runner with a remote cache only",
        f"a new clone of {_FRESH_SERVICES} services that import os only, and a remote cache that "
        "another machine has filled",
        "publish, with the start of pantsd",
        f"{_KO} from nothing: it has no remote cache",
        _fresh_remote,
    ),
    Row(
        "ci",
        f"CI jobs, {_FRESH_SERVICES} services",
        "services that import os only, published by a job before; a new machine for each job, "
        "which gets nothing, KOCACHE, Pants' named caches, its lmdb_store too, or a remote cache",
        "publish, with the start of pantsd; once where nothing has changed, and once where one "
        "service has",
        "none",
        _ci,
    ),
)

__all__ = ["ROWS", "Bench", "Copier", "Failure", "Options", "Row", "Skip"]
