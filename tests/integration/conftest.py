"""Workspaces for the tests of this directory; see `workspace`."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from integration.clients import Held, unanswering_proxy
from integration.workspace import Workspace, workspace


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pants' named caches, Go's build cache among them, of all workspaces and test processes.

    `KO_PANTS_TEST_CACHES` keeps them for the next session.
    """
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    kept = os.environ.get("KO_PANTS_TEST_CACHES")
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    directory = Path(kept) if kept else base / "named-caches"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def make_workspace(
    tmp_path_factory: pytest.TempPathFactory, caches: Path
) -> Iterator[Callable[..., Workspace]]:
    """Makes workspaces that end with the module; arguments as those of `workspace()`."""
    with contextlib.ExitStack() as stack:

        def make(name: str = "repo", **options: Any) -> Workspace:
            root = tmp_path_factory.mktemp(name) / name
            return stack.enter_context(workspace(root, caches, **options))

        yield make


@pytest.fixture(scope="module")
def slow_proxy() -> Iterator[tuple[str, Held]]:
    """The URL of a Go module proxy that does not answer before the end of the module."""
    with unanswering_proxy() as proxy:
        yield proxy
