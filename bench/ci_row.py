"""What a CI job costs, by what it gets from earlier jobs: nothing, KOCACHE, Pants' caches, a remote
cache.

Each job is a new machine: another checkout, another HOME, no pantsd. A job before it has published
the same services, and has filled the caches. The time is that of `publish`, with the start of
pantsd; to install Pants, and to restore and save caches, depends on the CI.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Sequence

from bench.delay import Line, behind
from bench.measure import Outcome, Sample, once
from bench.monorepo import Shape
from bench.registry import Requests
from bench.tools import Ours, Setting, environments_home, remove

if TYPE_CHECKING:
    from bench.rows import Bench, Workspace

_SERVICES = 5
_REPORT = "dist/report.json"
# As docs/ci.md has it: what nobody needs stays there.
_REMOTE_OPTIONS = ('cache_content_behavior = "defer"',)


@dataclass(frozen=True)
class _Kind:
    """What a job gets from the job before.

    :param restored: directories of `Ours.state`.
    """

    name: str
    restored: Sequence[str] = ()
    remote: bool = False


_KINDS = (
    _Kind("nothing"),
    _Kind("KOCACHE", ("kocache",)),
    _Kind("named caches", ("kocache", "named")),
    _Kind("named caches and lmdb_store", ("kocache", "named", "store")),
    _Kind("remote cache", remote=True),
    _Kind("remote cache and named caches", ("kocache", "named"), remote=True),
)
_UNCHANGED, _EDITED = "nothing changed", "one service edited"


@dataclass
class _RunnerSetting(Setting):
    """A machine of its own: HOME is in its directory. Pants is installed."""

    def environment(self) -> dict[str, str]:
        home = self.state / "home"
        home.mkdir(parents=True, exist_ok=True)
        known = {"HOME": str(home), "PANTS_KO_HOME": str(environments_home())}
        return {**super().environment(), **known}


class _Jobs:
    """Makes machines, and runs a job on each.

    :param remote: the address of the remote cache.
    :param line: what its bytes pass.
    """

    def __init__(self, bench: Bench, workspace: Workspace, remote: str, line: Line) -> None:
        self._bench = bench
        self._workspace = workspace
        self._remote = remote
        self._line = line
        self._count = 0

    def machine(self, *, remote: bool) -> Ours:
        """A new machine with a new checkout, and no caches."""
        self._count += 1
        place = self._workspace.place / f"job-{self._count}"
        remove(place)
        place.mkdir(parents=True)
        repo = str(self._workspace.repo)
        subprocess.run(["git", "clone", "--quiet", repo, str(place / "repo")], check=True)
        old = self._workspace.setting
        setting = _RunnerSetting(place / "repo", place, old.registry, None, "off", old.platforms)
        tool = Ours(
            setting,
            remote_cache=self._remote if remote else "",
            remote_options=_REMOTE_OPTIONS if remote else (),
        )
        tool.options = f'report = "{_REPORT}"'
        tool.forget()
        return tool

    def run(self, kind: _Kind, before: Path) -> Sample:
        """One job: it gets what its kind says of the caches in `before`, and publishes."""
        tool = self.machine(remote=kind.remote)
        for name in kind.restored:
            shutil.copytree(before / name, tool.state / name, symlinks=True, dirs_exist_ok=True)
        restored = sum(bytes_on_disk(tool.state / name) for name in kind.restored)
        received = self._line.bytes_received
        sample = once(self._workspace.registry, lambda: tool.publish_all(self._workspace.services))
        tool.stop()
        report = json.loads((tool.setting.repo / _REPORT).read_text())
        others = {
            "compiles": report["compiles"]["ran"],
            "layers made": report["layers"]["ran"],
            "kB pushed": report["bytes"]["pushed"] // 1000,
            "kB of the remote cache": (self._line.bytes_received - received) // 1000,
            "kB restored": restored // 1000,
        }
        remove(tool.setting.state)
        return Sample(sample.seconds, Requests(sample.requests.by_method, others))


def measure(bench: Bench) -> Outcome:
    """A job of each kind, where nothing has changed, and where one service has."""
    workspace = bench.make("ci", Shape(services=_SERVICES, tiny=True), with_ko=False, warm_go=False)
    outcome = Outcome()
    line = Line(0.0)
    with _counted_cache(bench, line, outcome) as remote:
        jobs = _Jobs(bench, workspace, remote, line)
        bench.say("    the job before")
        seeder = jobs.machine(remote=True)
        seeder.publish_all(workspace.services)
        seeder.stop()
        for _ in range(bench.options.cold_runs):
            for work in (_UNCHANGED, _EDITED):
                for kind in _KINDS:
                    if work == _EDITED:
                        assert workspace.monorepo is not None
                        workspace.monorepo.edit_service()
                    sample = jobs.run(kind, seeder.state)
                    name = f"{kind.name}, {work}"
                    bench.say(f"    {name}: {sample.seconds:.1f} s, {sample.requests}")
                    outcome.samples.setdefault(name, []).append(sample)
    return outcome


@contextlib.contextmanager
def _counted_cache(bench: Bench, line: Line, outcome: Outcome) -> Iterator[str]:
    """The address of a remote cache whose bytes are counted."""
    from bench.rows import remote_cache

    with remote_cache(bench) as (address, what):
        outcome.notes.append(f"remote cache: {what}")
        scheme, _, host = address.partition("://")
        with behind(host, line) as proxy:
            yield f"{scheme}://{proxy}"


def bytes_on_disk(directory: Path) -> int:
    """What the files take; those of LMDB have holes."""
    return sum(
        path.lstat().st_blocks * 512 for path in directory.rglob("*") if not path.is_symlink()
    )
