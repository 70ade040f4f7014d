"""How often the backend has Python look for garbage."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import Iterator

import pytest

import ko_pants
from ko_pants.garbage import look_for_garbage_less_often


@pytest.fixture(autouse=True)
def _threshold_of_tests() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((700, 10, 10), (200_000, 10, 10)),
        ((700, 10, 0), (200_000, 10, 0)),
        ((500_000, 5, 20), (500_000, 5, 20)),
        # Someone has turned it off.
        ((0, 10, 10), (0, 10, 10)),
    ],
)
def test_python_looks_less_often_and_never_more_often(
    before: tuple[int, int, int], after: tuple[int, int, int]
) -> None:
    gc.set_threshold(*before)
    look_for_garbage_less_often()
    look_for_garbage_less_often()
    assert gc.get_threshold() == after


def test_the_backend_asks_for_it() -> None:
    source = ko_pants.__path__[0].rpartition("/")[0]
    script = (
        f"import sys; sys.path.insert(0, {source!r})\n"
        "import gc, ko_pants.register\n"
        "assert gc.get_threshold()[0] >= 200_000, gc.get_threshold()"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_cycles_are_found_all_the_same() -> None:
    class Part:
        alive = 0

        def __init__(self) -> None:
            type(self).alive += 1
            self.me = self

        def __del__(self) -> None:
            type(self).alive -= 1

    gc.set_threshold(700, 10, 10)
    look_for_garbage_less_often()
    for _ in range(100_000):
        Part()
    assert Part.alive < 100_000
