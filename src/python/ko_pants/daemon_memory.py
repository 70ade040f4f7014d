"""What stays in the memory of pantsd from one run to the next.

Pants keeps a daemon (pantsd), so a global variable of ours lives as long as the daemon. Each such
variable is a `BoundedMemory`: it has a name, an upper limit for its entries, and a sentence that
says what it holds and why that may be kept. `all_memories` lists them.

This module imports nothing but the standard library, so every other module may use it.
"""

from __future__ import annotations

import threading
from typing import Any, Generic, Iterator, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_memories: list[BoundedMemory[Any, Any]] = []


class BoundedMemory(Generic[K, V]):
    """A mapping with at most `bound` entries; one more drops the oldest. Thread-safe.

    The oldest entry is the one that was put first; to put a key again makes it the newest, to read
    it does not.

    :param name: says whose memory it is, for example `registry.tls contexts`.
    :param bound: number of entries.
    :param holds: what the entries are and why it is safe to keep them.
    """

    def __init__(self, *, name: str, bound: int, holds: str) -> None:
        self.name = name
        self.bound = bound
        self.holds = holds
        self._lock = threading.Lock()
        self._entries: dict[K, V] = {}
        #: `dict.get` itself, so that a read costs what it costs with a dict. It takes no lock.
        self.get = self._entries.get
        _memories.append(self)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: K, value: V) -> None:
        """Keep `value` under `key`."""
        with self._lock:
            self._put(key, value)

    def setdefault(self, key: K, value: V) -> V:
        """The value under `key`; if there is none, `value`, which is kept."""
        with self._lock:
            if key not in self._entries:
                self._put(key, value)
            return self._entries[key]

    def pop(self, key: K) -> V | None:
        """Remove an entry and return its value, or None if there is none."""
        with self._lock:
            return self._entries.pop(key, None)

    def __iter__(self) -> Iterator[K]:
        """The keys, oldest first, as they are now."""
        with self._lock:
            return iter(list(self._entries))

    def values(self) -> list[V]:
        """The values, oldest first, as they are now."""
        with self._lock:
            return list(self._entries.values())

    def items(self) -> list[tuple[K, V]]:
        """The entries, oldest first, as they are now."""
        with self._lock:
            return list(self._entries.items())

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()

    def _put(self, key: K, value: V) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self.bound:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value


def all_memories() -> tuple[BoundedMemory[Any, Any], ...]:
    """The memories of the modules that were imported so far."""
    return tuple(_memories)


def clear_all() -> None:
    """Empty every memory, as a new daemon would begin. For tests."""
    for memory in _memories:
        memory.clear()
