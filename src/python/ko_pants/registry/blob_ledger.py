"""Which repositories have which blobs, as far as this run knows, and which pushes are under way."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Callable

from ko_pants.oci.reference import Reference

#: The repository had the blob already.
REUSED = "reused"


@dataclass
class _OngoingPush:
    """One push under way; other pushes of the same blob to the same repository wait for it."""

    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class BlobLedger:
    """The blobs of one run's repositories. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: dict[tuple[str, str], list[str]] = {}
        self._ongoing: dict[tuple[str, str, str], _OngoingPush] = {}
        self._uploading: dict[tuple[str, str], threading.Lock] = {}

    def record(self, ref: Reference, digest: str) -> None:
        """Note that the repository has the blob."""
        with self._lock:
            repositories = self._present.setdefault((ref.registry, digest), [])
            if ref.repository not in repositories:
                repositories.append(ref.repository)

    def forget(self, ref: Reference, digest: str) -> None:
        """Note that the repository lacks the blob after all, as the registry says."""
        with self._lock:
            repositories = self._present.get((ref.registry, digest), [])
            if ref.repository in repositories:
                repositories.remove(ref.repository)

    def has(self, ref: Reference, digest: str) -> bool:
        """True if the repository was seen to have the blob."""
        return ref.repository in self._present.get((ref.registry, digest), ())

    def repositories(self, registry: str, digest: str) -> tuple[str, ...]:
        """The repositories of a registry that were seen to have the blob."""
        with self._lock:
            return tuple(self._present.get((registry, digest), ()))

    def upload_lock(self, registry: str, digest: str) -> threading.Lock:
        """The lock to hold while the bytes of this blob are sent to the registry."""
        with self._lock:
            return self._uploading.setdefault((registry, digest), threading.Lock())

    def once(self, ref: Reference, digest: str, push: Callable[[], str]) -> str:
        """The result of `push`; if another thread pushes the same to the same, wait: `reused`.

        :raises BaseException: what `push` raised, also in every thread that waited for it.
        """
        key = (ref.registry, ref.repository, digest)
        with self._lock:
            ongoing = self._ongoing.get(key)
            mine = ongoing is None
            if ongoing is None:
                ongoing = self._ongoing[key] = _OngoingPush()
        if not mine:
            ongoing.ended.wait()
            if ongoing.error is not None:
                raise ongoing.error
            return REUSED
        try:
            return push()
        except BaseException as e:
            ongoing.error = e
            raise
        finally:
            with self._lock:
                del self._ongoing[key]
            ongoing.ended.set()
