"""What a run knows of blobs, and that one push serves all who wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from ko_pants.oci.reference import Reference
from ko_pants.registry import blob_ledger
from ko_pants.registry.blob_ledger import BlobLedger

APP, BASE, ELSEWHERE = (
    Reference("r.io", "app"),
    Reference("r.io", "base"),
    Reference("else.io", "app"),
)


def test_what_was_seen_is_known_until_it_is_gone() -> None:
    ledger = BlobLedger()
    assert not ledger.has(APP, "x")
    ledger.forget(APP, "x")
    for ref in (APP, BASE, APP, ELSEWHERE):
        ledger.record(ref, "x")
    assert ledger.has(APP, "x")
    assert not ledger.has(APP, "y")
    assert ledger.repositories("r.io", "x") == ("app", "base")
    assert ledger.repositories("else.io", "x") == ("app",)
    ledger.forget(APP, "x")
    assert not ledger.has(APP, "x")
    assert ledger.repositories("r.io", "x") == ("base",)
    assert ledger.has(ELSEWHERE, "x")


def test_a_lock_is_for_one_blob_of_one_registry() -> None:
    ledger = BlobLedger()
    assert ledger.upload_lock("r.io", "x") is ledger.upload_lock("r.io", "x")
    assert ledger.upload_lock("r.io", "x") is not ledger.upload_lock("r.io", "y")
    assert ledger.upload_lock("r.io", "x") is not ledger.upload_lock("else.io", "x")


class CountedWaits(threading.Event):
    """An event that tells how many wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)

    def wait(self, timeout: float | None = None) -> bool:
        self.waiting.release()
        return super().wait(20)


@pytest.mark.parametrize("fails", [False, True])
def test_one_push_for_all_who_wait(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    ledger, ended = BlobLedger(), CountedWaits()
    monkeypatch.setattr(
        blob_ledger, "_OngoingPush", lambda: SimpleNamespace(ended=ended, error=None)
    )
    with ThreadPoolExecutor(2) as pool:
        others: list[Future[str]] = []

        def push() -> str:
            others.extend(pool.submit(ledger.once, APP, "x", lambda: "again") for _ in range(2))
            for _ in range(2):
                assert ended.waiting.acquire(timeout=60)
            if fails:
                raise RuntimeError("refused")
            return "uploaded"

        if fails:
            with pytest.raises(RuntimeError, match="refused"):
                ledger.once(APP, "x", push)
            assert [str(future.exception(20)) for future in others] == ["refused"] * 2
        else:
            assert ledger.once(APP, "x", push) == "uploaded"
            assert [future.result(20) for future in others] == ["reused"] * 2
    # Whoever comes after the end pushes again.
    assert ledger.once(APP, "x", lambda: "again") == "again"


def test_pushes_of_other_blobs_or_to_other_repositories_do_not_wait() -> None:
    ledger = BlobLedger()

    def push() -> str:
        assert ledger.once(BASE, "x", lambda: "mounted") == "mounted"
        assert ledger.once(APP, "y", lambda: "uploaded") == "uploaded"
        assert ledger.once(ELSEWHERE, "x", lambda: "uploaded") == "uploaded"
        return "uploaded"

    assert ledger.once(APP, "x", push) == "uploaded"
