"""A Pants backend for `scripts/own`: `lint`, `fix` and `fmt` with ruff.

The one that comes with Pants 2.17 is for the first releases of ruff. It cannot format. With a later
ruff its `fix` fails, says that it made no changes, and `lint` reports success for it.
"""

from __future__ import annotations

from typing import Any, Iterable

from pants.backend.python.util_rules import pex

from ruff_backend import rules as ruff_rules


def rules() -> Iterable[Any]:
    """The rules of the backend."""
    return (*ruff_rules.rules(), *pex.rules())  # type: ignore[no-untyped-call]
