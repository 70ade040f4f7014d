"""Rows with hundreds and thousands of images: what the daemon takes, as CPU seconds and MB.

Nothing is built for `changed` and `changed-go-work`, so that the figures are those of the questions
that Pants asks of all images.
"""

from __future__ import annotations

import contextlib
import shutil
from functools import partial
from pathlib import Path
from typing import Mapping, Sequence

from bench.dependencies_alone import dependencies_alone
from bench.large_monorepo import EDITED, large_sources
from bench.measure import OURS, Outcome
from bench.monorepo import Shape, commit_all
from bench.rows import Bench, Row, Workspace
from bench.tools import Ours, remove

_CHANGED = (
    *("--changed-since=HEAD", "--changed-dependents=transitive"),
    *("--filter-target-type=go_oci_image", "list"),
)


def _many(bench: Bench, *, go_work: bool) -> Outcome:
    """Both sizes have the same tiny services, so that only the number of them differs."""
    options = bench.options
    outcome = Outcome()
    medians: dict[str, list[float]] = {"no-op": [], "new tag": []}
    for count in (max(1, options.many // 10), options.many):
        name = f"tiny-{'go-work-' if go_work else ''}{count}"
        programs = options.many_programs
        shape = Shape(services=count, programs=programs, tiny=True, go_work=go_work)
        platforms = options.many_platforms
        make = partial(bench.make, name, shape, with_ko=False, platforms=platforms)
        workspace = bench.published(name, make)
        (tool,) = (tool for tool in workspace.tools if isinstance(tool, Ours))
        for what in medians:
            tags = (f"v{number}" for number in range(1, 1000)) if what == "new tag" else None
            before = tool.cpu_seconds()
            samples = workspace.turns(tags=tags).samples[OURS]
            runs = options.runs + 1  # and that which warms up
            cpu = (tool.cpu_seconds() - before) / runs
            outcome.samples[f"{OURS}, {what}, {count} images"] = samples
            outcome.figures[f"{what}, {count} images: CPU seconds"] = round(cpu, 2)
            medians[what].append(sorted(s.seconds for s in samples)[len(samples) // 2])
        outcome.figures[f"{count} images: MB of the daemon"] = tool.memory_mb()
        bench.say(f"    {count} images: {tool.memory_mb()} MB of the daemon")
        bench.drop(name)
    for what, (few, many) in medians.items():
        outcome.figures[f"{what}: time for all / for a tenth"] = round(many / few, 2)
    ratio = medians["new tag"][1] / medians["no-op"][1]
    outcome.figures["new tag / no-op, all images"] = round(ratio, 2)
    return outcome


def _changed(bench: Bench, *, go_work: bool, one_target_per: str = "file") -> Outcome:
    """A tenth of the services and files, and all."""
    outcome = Outcome()
    options = bench.options
    for part in (10, 1):
        services, files = max(2, options.changed_services // part), options.changed_files // part
        name = f"changed-{one_target_per}-{'go-work-' * go_work}{services}"
        sources = large_sources(services, files, go_work=go_work, one_target_per=one_target_per)
        _measure_changed(bench, outcome, name, f"{services} services, {files} files", sources)
    return outcome


def _measure_changed(
    bench: Bench, outcome: Outcome, name: str, size: str, sources: Mapping[str, str]
) -> None:
    place = bench.options.work / name
    remove(place)
    repo = place / "repo"
    for path, content in sources.items():
        target = repo / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    commit_all(repo)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        workspace = Workspace(bench, name, repo, [])
        stack.callback(workspace.close)
        ours = Ours(workspace.setting)
        stack.callback(ours.stop)
        _ask(bench, outcome, size, ours)
        alone = dependencies_alone(ours, place / "pants-alone")
        stack.callback(alone.stop)
        _ask(bench, outcome, f"{alone.name}, {size}", alone)


def _ask(bench: Bench, outcome: Outcome, size: str, tool: Ours) -> None:
    """Ask all questions, and note what the daemon took for each."""
    for number, (what, arguments, new_daemon) in enumerate(_QUESTIONS):
        _edit(tool.setting.repo, number)
        if new_daemon:
            tool.stop()
            tool.start()
        before = tool.cpu_seconds()
        tool.ask(*arguments)
        figures = {
            "CPU seconds": round(tool.cpu_seconds() - before, 2),
            "MB of the daemon": tool.memory_mb(),
        }
        bench.say(f"    {size}, {what}: {figures}")
        outcome.figures.update({f"{size}, {what}: {k}": v for k, v in figures.items()})


# Each with the arguments of Pants, and whether a new daemon is asked, as after a reboot.
_QUESTIONS: Sequence[tuple[str, Sequence[str], bool]] = (
    ("first run on a machine", _CHANGED, True),
    ("first --changed-since", _CHANGED, True),
    ("--changed-since after an edit", _CHANGED, False),
    ("dependencies of all", ("--filter-target-type=go_oci_image", "dependencies", "::"), True),
)


def _edit(repo: Path, number: int) -> None:
    (repo / EDITED).write_text(f"package p0001\n\nconst N = {number}\n")


_SERVICES = "services that import os only, published"
_LARGE = (
    "--changed-services main packages in --changed-files Go files, and a tenth of both; one file "
    "edited; nothing is built"
)
_QUESTION = (
    "`--changed-since=HEAD --changed-dependents=transitive list` with a new daemon and after an "
    "edit, `dependencies ::`: CPU seconds and memory of the daemon; the same of Pants alone, with "
    "a backend that has as many targets and reads their dependencies from a list"
)

MANY_ROWS = (
    Row(
        "many",
        "no-op and new tag, ten times as many images",
        _SERVICES,
        "publish again, and under a new tag, for a tenth of them and for all",
        "none",
        partial(_many, go_work=False),
    ),
    Row(
        "many-go-work",
        "no-op and new tag, ten times as many images, each a module of a go.work",
        _SERVICES,
        "publish again, and under a new tag, for a tenth of them and for all",
        "none",
        partial(_many, go_work=True),
    ),
    Row(
        "changed",
        "first --changed-since, thousands of files",
        _LARGE,
        _QUESTION,
        "none",
        partial(_changed, go_work=False),
    ),
    Row(
        "changed-go-work",
        "first --changed-since, thousands of files, each service a module of a go.work",
        _LARGE,
        _QUESTION,
        "none",
        partial(_changed, go_work=True),
    ),
    Row(
        "changed-packages",
        "first --changed-since, thousands of files, one target for each package",
        _LARGE,
        _QUESTION,
        "none",
        partial(_changed, go_work=False, one_target_per="package"),
    ),
    Row(
        "changed-packages-go-work",
        "first --changed-since, thousands of files, one target for each package, a go.work",
        _LARGE,
        _QUESTION,
        "none",
        partial(_changed, go_work=True, one_target_per="package"),
    ),
    Row(
        "changed-programs",
        "first --changed-since, thousands of files, one target for each program or other package",
        _LARGE,
        _QUESTION,
        "none",
        partial(_changed, go_work=False, one_target_per="program"),
    ),
)
