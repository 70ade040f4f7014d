"""What the tests of the registry client start with."""

from __future__ import annotations

from typing import Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry

from ko_pants import daemon_memory


@pytest.fixture(autouse=True)
def _a_new_daemon() -> None:
    daemon_memory.clear_all()


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    """A registry that behaves, with nothing in it, until a test says otherwise."""
    with fault_registry() as registry:
        yield registry
