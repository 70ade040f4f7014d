from __future__ import annotations

from pathlib import Path

import pytest
from kocache.samples import Caches


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    return Caches(tmp_path / "kocache")
