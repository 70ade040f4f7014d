"""`scripts/mutate`: mutation tests of folders and files of the core."""

from __future__ import annotations

import argparse
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import hypothesis
import requests  # noqa: F401  (before the workers fork)
from baseline import run_baseline
from mutants import Mutant, mutants_of
from plan import PACKAGE, Baseline, Job, jobs_of, targets_of
from report import print_report
from worker import run_jobs


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("names", nargs="+", help=f"folders or files below {PACKAGE}")
    parser.add_argument("--tests", help="directory or file of tests, in place of tests/<folder>")
    parser.add_argument(
        "--slow",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="leave out tests that take longer, where faster ones run the same line (default 1)",
    )
    parser.add_argument("--jobs", "-j", type=int, default=os.cpu_count() or 1, help="workers")
    parser.add_argument("--root", type=Path, required=True, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    root: Path = arguments.root
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so remove what is temporary
    # A counterexample is enough, it need not be the smallest; and no test depends on chance here.
    hypothesis.settings.register_profile(
        "mutate",
        derandomize=True,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
    )
    hypothesis.settings.load_profile("mutate")
    targets = targets_of(root, arguments.names, arguments.tests)
    sources = {target.path: (root / target.path).read_text() for target in targets}
    mutants: list[Mutant] = []
    outcomes: dict[int, str] = {}
    for tests in dict.fromkeys(target.tests for target in targets):
        paths = [target.path for target in targets if target.tests == tests]
        # Some tests open pytest's directories to other users, and know them by their name.
        with tempfile.TemporaryDirectory(prefix="pytest-mutate-") as scratch:
            found = [m for path in paths for m in mutants_of(path, sources[path])]
            for number, outcome in _mutate(root, found, tests, arguments, Path(scratch)):
                outcomes[len(mutants) + number] = outcome
        mutants += found
    print_report(sources, mutants, outcomes)
    return 0


def _mutate(
    root: Path, mutants: list[Mutant], tests: str, arguments: argparse.Namespace, scratch: Path
) -> list[tuple[int, str]]:
    """The outcome of each mutant, by its place in `mutants`."""
    paths = sorted({mutant.path for mutant in mutants})
    _copy_tree(root, scratch / "0")
    begun = time.monotonic()
    baseline = _baseline(scratch, tests, paths)
    _say(f"{tests}: {len(mutants)} mutants; tests took {time.monotonic() - begun:.0f} s")
    jobs = jobs_of(mutants, baseline, arguments.slow)
    reading, writing = os.pipe()
    workers: int = arguments.jobs
    processes = []
    for worker in range(1, workers):
        shutil.copytree(scratch / "0", scratch / str(worker), symlinks=True)
    for worker in range(workers):
        pid = os.fork()
        if not pid:
            os.close(reading)
            _work(scratch, worker, tests, jobs[worker::workers], writing)
        processes.append(pid)
    os.close(writing)
    outcomes = []
    try:
        with os.fdopen(reading) as lines:
            for line in lines:
                number, outcome = line.split()
                outcomes.append((int(number), outcome))
                if len(outcomes) % 100 == 0:
                    since = time.monotonic() - begun
                    _say(f"{tests}: {len(outcomes)} of {len(jobs)}, {since:.0f} s")
    except BaseException:
        for pid in processes:
            os.kill(pid, signal.SIGTERM)
        raise
    finally:
        for pid in processes:
            os.waitpid(pid, 0)
    if len(outcomes) < len(jobs):
        for log in scratch.glob("*.log"):
            _say(log.read_text()[-3000:])
        raise SystemExit(f"mutate: of {len(jobs)} mutants only {len(outcomes)} were run")
    return outcomes


def _baseline(scratch: Path, tests: str, paths: list[str]) -> Baseline:
    """Runs the tests in a fork, so that this process imports nothing of the source.

    :raises SystemExit: when a test fails without any mutant.
    """
    result = scratch / "baseline"
    if not os.fork():
        arguments = _enter(scratch, 0, tests)
        baseline = run_baseline(arguments, [str(scratch / "0" / path) for path in paths])
        baseline.tests_of_line = {
            str(Path(path).relative_to(scratch / "0")): lines
            for path, lines in baseline.tests_of_line.items()
        }
        result.write_bytes(pickle.dumps(baseline))
        os._exit(0)
    os.wait()
    baseline = pickle.loads(result.read_bytes()) if result.exists() else Baseline(failed=["pytest"])
    if baseline.failed:
        _say((scratch / "0.log").read_text()[-3000:])
        raise SystemExit(f"mutate: without mutants these fail: {', '.join(baseline.failed)}")
    return baseline


def _work(scratch: Path, worker: int, tests: str, jobs: list[Job], writing: int) -> None:
    """A worker's life; it ends the process."""
    arguments = _enter(scratch, worker, tests)

    def emit(number: int, outcome: str) -> None:
        os.write(writing, f"{number} {outcome}\n".encode())

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        run_jobs(scratch / str(worker), arguments, jobs, emit)
    except Exception:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _enter(scratch: Path, worker: int, tests: str) -> list[str]:
    """Goes into the worker's copy of the repository; the arguments of pytest there."""
    log = os.open(scratch / f"{worker}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(scratch / str(worker))
    temporary = scratch / f"t{worker}"
    temporary.mkdir(exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
    if (scratch / "baseline").exists():
        # What is compiled of a mutant would be taken for another one of the same second.
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    return [
        *("-x", "-q", "-pno:cacheprovider", "-pno:xdist", "--tb=short"),
        *(f"--basetemp={scratch}/b{worker}", tests),
    ]


def _copy_tree(root: Path, copy: Path) -> None:
    """Copies what git knows of, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-zco", "--exclude-standard"],
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, copy / name)


def _say(text: str) -> None:
    print(f"mutate: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
