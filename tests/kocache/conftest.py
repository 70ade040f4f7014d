from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kocache.samples import Caches


@pytest.fixture
def caches(tmp_path: Path) -> Caches:
    # Here, so that an error at import is one of the tests that need it.
    from kocache.samples import Caches

    return Caches(tmp_path / "kocache")
