"""Counts of calls, for tests that say how often something is done."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any, Callable

import pytest


def count_calls(
    monkeypatch: pytest.MonkeyPatch,
    found: Counter[str],
    place: Any,
    name: str,
    *,
    size: Callable[[Any], int] = lambda _: 1,
    counted_as: str = "",
) -> None:
    """Count the calls of a function or method `name` of `place`.

    :param size: what a call with this result counts.
    :param counted_as: the name in `found`; its own by default.
    """
    original = getattr(place, name)

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        found[counted_as or name] += size(result)
        return result

    monkeypatch.setattr(place, name, call)
