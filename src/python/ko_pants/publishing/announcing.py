"""Which images of a run are announced together: one process for all of them.

Pants starts the process of each image by itself, one after another, and writes a line for each name
of it when the process has ended. A process costs a fork of the daemon: 50 of them were half of a
run that only moves tags. All tags have moved when the first process ends. So it speaks for each
image of which the same is to be said: Pants writes the lines of all of them behind it, and their
own processes need not run.
"""

from __future__ import annotations

import threading
from typing import Sequence


class Announcements:
    """The images of one run, by what is said of them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: dict[int, str] = {}
        self._names: dict[int, Sequence[str]] = {}
        #: Those of which nothing is said yet, by text. An image has a look at its own text alone.
        self._unsaid: dict[str, dict[int, None]] = {}
        #: The images that have spoken, each with the others that it speaks for.
        self._spoken: dict[int, Sequence[int]] = {}
        self._silent: set[int] = set()

    def add(self, number: int, names: Sequence[str], text: str) -> None:
        """Note what is to be said of an image, and of which names, once its tags have moved."""
        with self._lock:
            self._names[number] = names
            self._texts[number] = text
            self._unsaid.setdefault(text, {})[number] = None

    def others(self, number: int) -> Sequence[int]:
        """Images of which the same is to be said as of this one, and of which nothing is said yet.

        None if nothing is noted of this one.
        """
        with self._lock:
            text = self._texts.get(number)
            return [n for n in self._unsaid[text] if n != number] if text is not None else []

    def speak(self, number: int, others: Sequence[int]) -> None:
        """The process of an image has run, and speaks for others too; all their tags have moved."""
        with self._lock:
            self._spoken[number] = others
            self._silent.update(others)
            for n in (number, *others):
                if n in self._texts:
                    self._unsaid[self._texts[n]].pop(n, None)

    def is_silent(self, number: int) -> bool:
        """True if the process of another image has spoken for this one."""
        with self._lock:
            return number in self._silent

    def names(self, number: int) -> Sequence[str]:
        """The names that are announced with an image: none, its own, or those of others too."""
        with self._lock:
            if number in self._silent:
                return ()
            images = (number, *self._spoken.get(number, ()))
            return tuple(name for n in images for name in self._names[n])
