"""Runs the tests once on the source as it is, and notes which test runs which line."""

from __future__ import annotations

import sys
from typing import Any, Iterator

import coverage
import pytest
from plan import Baseline

_PROCESS_EVENTS = {"subprocess.Popen", "os.posix_spawn", "os.fork", "os.exec"}


class _Recorder:
    """A plugin of pytest."""

    def __init__(self, cover: coverage.Coverage) -> None:
        self.baseline = Baseline()
        self.tests_of_fixture: dict[str, list[str]] = {}
        self._cover = cover
        self._test = ""
        self._starts_processes: set[str] = set()
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _: Any) -> None:
        if event in _PROCESS_EVENTS and self._test:
            self._starts_processes.add(self._test)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        self._cover.switch_context(item.nodeid)
        for name in getattr(item, "fixturenames", ()):
            self.tests_of_fixture.setdefault(name, []).append(item.nodeid)
        yield
        self._test = ""
        self.baseline.with_processes = sorted(self._starts_processes)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        # What a shared fixture runs counts for all tests that have it, not for the first alone.
        if fixturedef.scope != "function":
            self._cover.switch_context(f"fixture {fixturedef.argname}")
        yield
        self._cover.switch_context(self._test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        seconds = self.baseline.seconds
        seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.baseline.failed.append(report.nodeid)


def run_baseline(arguments: list[str], files: list[str]) -> Baseline:
    """Run pytest with `arguments` in this process, and watch the lines of `files`."""
    cover = coverage.Coverage(data_file=None, include=files, config_file=False)
    recorder = _Recorder(cover)
    cover.start()
    status = pytest.main(arguments, plugins=[recorder])
    cover.stop()
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        recorder.baseline.failed.append(f"pytest ends with {status!r}")
    data = cover.get_data()
    for path in data.measured_files():
        tests_of_line = recorder.baseline.tests_of_line.setdefault(path, {})
        for line, contexts in data.contexts_by_lineno(path).items():
            tests_of_line[line] = sorted(
                {
                    test
                    for context in contexts
                    for test in recorder.tests_of_fixture.get(
                        context[len("fixture ") :] if context.startswith("fixture ") else "-",
                        [context],
                    )
                }
            )
    return recorder.baseline
