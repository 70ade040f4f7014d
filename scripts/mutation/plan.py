"""What is to be run: the mutants of some files, and the tests of each of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mutants import Mutant

PACKAGE = "src/python/ko_pants"


@dataclass(frozen=True)
class Target:
    """A source file and the directory of its tests, relative to the repository."""

    path: str
    tests: str


@dataclass
class Baseline:
    """What the tests do with the source as it is.

    :param seconds: of each test, by its id.
    :param tests_of_line: the tests that run a line, by file and line; the test "" stands for the
        import of the file.
    :param with_processes: tests that start processes, so nobody knows which lines they run.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tests_of_line: dict[str, dict[int, list[str]]] = field(default_factory=dict)
    with_processes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Job:
    """A mutant and the tests to run on it, the fastest first.

    :param at_import: it changes what happens when the module is imported. Then the tests of the
        file that is named after it come first, for they are the only ones to be collected mostly.
    """

    number: int
    mutant: Mutant
    tests: tuple[str, ...]
    seconds: float
    at_import: bool


def targets_of(root: Path, names: list[str], tests: str | None) -> list[Target]:
    """The source files that the names stand for: folders and files below the package.

    :raises SystemExit: when there is no such file, or no tests for it.
    """
    found = []
    for name in names:
        path = root / PACKAGE / name
        if not path.exists():
            path = root / name
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.is_file() else []
        if not files:
            raise SystemExit(f"mutate: {name} is neither below {PACKAGE} nor below {root}")
        for file in files:
            inside = file.relative_to(root / PACKAGE)
            directory = tests or f"tests/{inside.parts[0]}"
            if not (root / directory).exists():
                raise SystemExit(f"mutate: no {directory} for {inside}; --tests names another")
            found.append(Target(str(file.relative_to(root)), directory))
    return list(dict.fromkeys(found))


def jobs_of(mutants: list[Mutant], baseline: Baseline, slow_seconds: float) -> list[Job]:
    """For each mutant the tests that run its statement.

    A mutant that acts at import gets the tests of its file: those of the test file that is named
    after it, and those that run any line of it. One that no test runs in this process gets those
    that start processes. Tests that take longer than `slow_seconds` are left out where that leaves
    others.
    """
    seconds = baseline.seconds
    jobs = []
    for number, mutant in enumerate(mutants):
        of_line = baseline.tests_of_line.get(mutant.path, {})
        first, last = mutant.lines
        tests = {t for line in range(first, last + 1) for t in of_line.get(line, ())}
        at_import = "" in tests
        own = f"/test_{Path(mutant.path).stem}"
        if at_import:
            tests = {t for of in of_line.values() for t in of} | {t for t in seconds if own in t}
            tests = (tests - {""}) or set(seconds)
        chosen = tests or set(baseline.with_processes)
        chosen = {t for t in chosen if seconds.get(t, 0.0) < slow_seconds} or chosen
        order = sorted(chosen, key=lambda test: seconds.get(test, 0.0))
        if at_import:
            order.sort(key=lambda test: own not in test)
        total = sum(seconds.get(test, 0.0) for test in order)
        jobs.append(Job(number, mutant, tuple(order), total, at_import))
    return jobs
