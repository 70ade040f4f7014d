"""A registry that says it has a blob, and lacks it."""

from __future__ import annotations

import pytest
from fault_registry import FaultRegistry


def lose(registry: FaultRegistry, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD says that the blob is there; a manifest that names it is refused."""
    head = registry.blobs[("app", digest)]

    class Forgetful(dict):  # type: ignore[type-arg]
        def get(self, key: object, default: object = None) -> object:
            return head if key == ("app", digest) else super().get(key, default)

    blobs = Forgetful(registry.blobs)
    del blobs["app", digest]
    monkeypatch.setattr(registry, "blobs", blobs)
