"""How far the uploads of a run are: bytes, rate, what is left, and what is there already."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Mapping, Sequence

#: How often a line says how far uploads and processes are, if no option says otherwise.
DEFAULT_INTERVAL_SECONDS = 5.0

# The rate is that of the last few lines, so that it follows a network that gets slower.
_SAMPLES = 4
_MINUTE_SECONDS = 60
# Bytes per second; less is shown as 0.0 MB/s, of which nobody can say how long it takes.
_LEAST_RATE = 50_000


class ImageProgress:
    """The missing blobs of one image on their way to one destination.

    :param name: what the user knows the image by.
    :param platforms: all of them, or how many.
    :param sizes: digest -> bytes of each missing blob.
    """

    def __init__(
        self, run: Progress, name: str, platforms: str, sizes: Mapping[str, int], began: float
    ) -> None:
        self._run = run
        self.name = name
        self.platforms = platforms
        self.size = sum(sizes.values())
        self.began = began
        self._sizes = sizes
        self._sent: dict[str, int] = {}
        self._done: set[str] = set()
        self._failed = False

    @property
    def is_over(self) -> bool:
        """True if all blobs are there, or one could not be brought."""
        return self._failed or len(self._done) == len(self._sizes)

    def fail(self) -> None:
        """A blob cannot be brought, so the image is not waited for."""
        self._failed = True

    def sent(self, digest: str, count: int) -> None:
        """So many bytes of a blob are sent; less than before where an attempt begins again.

        A blob that nobody knew to be missing does not count.
        """
        if digest in self._sizes:
            self._run.change(sent=count - self._sent.get(digest, 0))
            self._sent[digest] = count

    def done(self, digest: str) -> None:
        """A blob is there. If it was mounted, its bytes need not be sent."""
        if digest in self._sizes and digest not in self._done:
            self._done.add(digest)
            self._run.change(
                total=self._sent.get(digest, 0) - self._sizes[digest],
                blobs_there=1,
                bytes_there=self._sizes[digest],
            )


class Progress:
    """All uploads of a run. Thread-safe.

    :param clock: seconds from any moment on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._images: list[ImageProgress] = []
        self._by_name: dict[str, list[ImageProgress]] = {}
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        #: Bytes to send, and bytes sent.
        self.total_bytes = 0
        self.sent_bytes = 0
        #: Blobs that were missing, and those of them that are there now; their bytes.
        self.blobs = 0
        self.missing_bytes = 0
        self.blobs_there = 0
        self.bytes_there = 0

    def begin(self, name: str, platforms: str, sizes: Mapping[str, int]) -> ImageProgress:
        """Begin with an image."""
        now = self._clock()
        image = ImageProgress(self, name, platforms, sizes, now)
        with self._lock:
            self._images.append(image)
            self._by_name.setdefault(name, []).append(image)
            self.total_bytes += image.size
            self.missing_bytes += image.size
            self.blobs += len(sizes)
            if not self._samples:
                self._samples.append((now, self.sent_bytes))
        return image

    def change(
        self, *, total: int = 0, sent: int = 0, blobs_there: int = 0, bytes_there: int = 0
    ) -> None:
        """Count; called by images alone."""
        with self._lock:
            self.total_bytes += total
            self.sent_bytes += sent
            self.blobs_there += blobs_there
            self.bytes_there += bytes_there

    @property
    def is_going_on(self) -> bool:
        """True if an image lacks a blob."""
        with self._lock:
            return any(not image.is_over for image in self._images)

    def uploads_of(self, name: str) -> list[ImageProgress]:
        """The uploads of an image that lack a blob, one for each destination."""
        with self._lock:
            return [image for image in self._by_name.get(name, ()) if not image.is_over]

    def line(self, least_seconds: float = 0.0) -> str:
        """One line for the user; empty if nothing is on its way.

        :param least_seconds: an upload that began later than so long ago is not worth a line.
        """
        now = self._clock()
        with self._lock:
            images = [i for i in self._images if not i.is_over]
            if not images or now - min(i.began for i in images) < least_seconds:
                return ""
            began, sent_then = self._samples[0]
            self._samples.append((now, self.sent_bytes))
            sent, total = self.sent_bytes, self.total_bytes
        rate = (sent - sent_then) / (now - began) if now > began else 0.0
        return (
            f"Uploading {_names(images)}: {sent / 1e6:.1f} of {total / 1e6:.1f} MB, "
            f"{max(rate, 0.0) / 1e6:.1f} MB/s{_left(total - sent, rate)}"
        )

    def where(self) -> str:
        """What of the missing blobs is there by now; empty if none was missing."""
        with self._lock:
            if not self.blobs:
                return ""
            return (
                f"{self.blobs_there} of {self.blobs} missing blobs are there by now "
                f"({self.bytes_there / 1e6:.1f} of {self.missing_bytes / 1e6:.1f} MB), "
                "and the next run reuses them"
            )


def _names(images: Sequence[ImageProgress]) -> str:
    platforms = {image.name: image.platforms for image in images}
    first, *others = platforms
    if not others:
        return f"{first} ({platforms[first]})"
    if len(others) == 1:
        return f"{first} and {others[0]}"
    return f"{first}, {others[0]} and {len(others) - 1} more"


def _left(count: int, rate: float) -> str:
    """How long it takes to send so many bytes; nothing if nobody can say."""
    if count <= 0:
        return ", waiting for the registry"
    if rate < _LEAST_RATE:
        return ""
    seconds = round(count / rate)
    if seconds < 2 * _MINUTE_SECONDS:
        return f", {seconds} s left"
    return f", {round(seconds / _MINUTE_SECONDS)} min left"
