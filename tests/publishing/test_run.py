"""What the images of a run share."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Iterator

import pytest
from fault_registry import FaultRegistry, fault_registry
from publishing.publish_runs import Run
from publishing.published_images import app

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import sha256_digest


@pytest.fixture
def registry() -> Iterator[FaultRegistry]:
    with fault_registry() as registry:
        yield registry


def test_two_targets_with_one_name_are_refused_at_once(tmp_path: Path) -> None:
    run = Run(tmp_path)
    image = app(tmp_path)
    run.check(image)
    with pytest.raises(KoPantsError, match=r"//:app and //:other are both published as"):
        run.publication(image, target="//:other")


def test_a_run_that_is_closed_does_nothing_more(registry: FaultRegistry, tmp_path: Path) -> None:
    run = Run(tmp_path, registry)
    found = run.check(app(tmp_path))
    path = run.run.files.path(sha256_digest(b"x"))
    Path(path).write_bytes(b"x")
    run.run.close()
    assert not os.path.exists(os.path.dirname(path))
    seen = len(registry.seen)
    upload = run.run.uploads.begin(found, {})

    def commit() -> None:
        with contextlib.suppress(InterruptedError):
            assert run.commit(upload)

    # A process that waits for an interrupted run must not wait for ever.
    waiting = threading.Thread(target=commit, daemon=True)
    waiting.start()
    waiting.join(10.0)
    assert not waiting.is_alive()
    assert len(registry.seen) == seen
