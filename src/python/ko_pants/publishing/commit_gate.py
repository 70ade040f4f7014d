"""How a process of Pants tells this process that the tags of a run may move.

Pants runs the processes of `publish` one after another, and only when every rule of the run has
succeeded, which means that all images are built. So the process of an image is a few lines of
shell: it writes a line into a named pipe ("it knocks") and waits for the answer in a second pipe.
The first knock says that the tags may move. They move in this process, which has the connections
and tokens of the run. If the run fails or is interrupted, no process starts and no tag moves. A
knock has the id of its process, and the user's Ctrl-C leaves a file beside the pipes: whoever
reports progress to a process that is interrupted or gone learns of it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import threading
import time
from typing import Callable, Iterable, Iterator

from ko_pants.interruption import InterruptedRunError
from ko_pants.publishing.temporary import is_alive, make_directory

#: The program of an image. `$1` is the directory of the gate, `$2` the number of the image.
#: A pipe that is opened for reading and writing does not wait for the other end. The answer is read
#: from an end that only reads, so that it ends when the gate ends, also if its owner is killed.
#: Pants interrupts the process when the user interrupts the run. It says so by a file, and goes on
#: to read, for the owner answers what is where. Some shells end `read` then, others do not.
KNOCK = """
if ! [ -p "$1/$2" ]; then
  echo "the run that this image belongs to is over" >&2
  exit 1
fi
exec 3<> "$1/knock" 4<> "$1/$2" 5< "$1/$2" 4>&-
trap 'interrupted=1; { : > "$1/interrupted"; } 2> /dev/null' INT TERM
printf '%s %s\\n' "$2" "$$" >&3
exec 3>&-
while interrupted=; IFS= read -r line <&5 || [ -n "$interrupted" ]; do
  case $line in
    "$2 exit "*) exit "${line#"$2 exit "}" ;;
    "$2 :"*) printf '%s\\n' "${line#"$2 :"}" >&2 ;;
  esac
done
echo "the run that this image belongs to is over" >&2
exit 1
"""

# A line of at most this size is written into a pipe as a whole (POSIX says 512, Linux allows more).
_MAX_LINE_BYTES = 500
# How long a process has to read, so that there is room for the next line. A pipe holds 64 KiB on
# Linux and 8 KiB on macOS.
_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.005
# How often a directory is removed, if it is not empty because a process has made a file meanwhile.
_REMOVALS = 3
# How often a process that waits gets an empty line at least, while progress is reported.
_WAKE_SECONDS = 0.2

_END = "end"
_INTERRUPTED = "interrupted"


def _parts(line: str, size: int) -> Iterator[str]:
    """A line in parts of at most `size` bytes of UTF-8. It is cut at blanks, where it has any."""
    content = line.encode("utf-8", "replace")
    while len(content) > size:
        end = content.rfind(b" ", 1, size + 1)
        blank = 1 if end > 0 else 0
        if not blank:
            end = size
            while content[end] & 0xC0 == 0x80:  # in the middle of a character
                end -= 1
        yield content[:end].decode()
        content = content[end + blank :]
    yield content.decode()


class CommitGate:
    """The pipes of the images of one run, and a thread that answers.

    :param commit: makes sure that the tags of an image have moved. It takes the number of the image
        and a function that shows a line of progress (an empty one is not shown), and returns what
        went wrong, or None. That function raises an InterruptedRunError if the user has interrupted
        the process.
    """

    def __init__(self, commit: Callable[[int, Callable[[str], None]], str | None]) -> None:
        self._count = 0
        self._commit = commit
        self.directory = make_directory("publish")
        # Where the process of an image does not run, nobody waits for the end of the gate.
        atexit.register(self._remove)
        self._answers: dict[int, int] = {}
        self._knocks = os.fdopen(self._make_pipe("knock"), "r", encoding="utf-8")
        self._thread = threading.Thread(target=self._serve, name="ko_pants publish", daemon=True)
        self._thread.start()

    def _make_pipe(self, name: str, flags: int = 0) -> int:
        path = os.path.join(self.directory, name)
        os.mkfifo(path, 0o600)
        # For reading and writing: `open` does not wait, and the pipe stays while this is open.
        # POSIX leaves that open for named pipes; Linux, macOS and the BSDs allow it.
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)

    def enter(self, number: int) -> tuple[str, ...]:
        """The argv of the process of one more image. It exits with 0 if the tags have moved."""
        self._answers[number] = self._make_pipe(str(number), os.O_NONBLOCK)
        self._count += 1
        return ("/bin/sh", "-c", KNOCK, "ko-publish", self.directory, str(number))

    def leave(self, numbers: Iterable[int]) -> None:
        """Wait no longer for the processes of these images. Called by `commit` alone."""
        for number in numbers:
            os.close(self._answers.pop(number))
            self._count -= 1

    def close(self) -> None:
        """End the gate of a run that is over; a process that still waits fails."""
        with contextlib.suppress(OSError):
            # If the gate has served all its images, nobody reads, and this fails at once.
            knock = os.open(os.path.join(self.directory, "knock"), os.O_WRONLY | os.O_NONBLOCK)
            with os.fdopen(knock, "w") as pipe:
                pipe.write(f"{_END}\n")

    def _serve(self) -> None:
        served = 0
        try:
            while served == 0 or served < self._count:
                word, _, process = self._knocks.readline().strip().partition(" ")
                if word == _END:
                    return
                number = int(word)
                if number not in self._answers:
                    continue
                error = self._try_commit(number, int(process))
                if error is not None:
                    self.tell(number, error)
                self._write(number, f"{number} exit {0 if error is None else 1}")
                # The process opened its end before it knocked, so it can still read the answer.
                os.close(self._answers.pop(number))
                served += 1
        finally:
            self._knocks.close()
            while self._answers:
                os.close(self._answers.popitem()[1])
            self._remove()
            atexit.unregister(self._remove)

    def _remove(self) -> None:
        for _ in range(_REMOVALS):
            shutil.rmtree(self.directory, ignore_errors=True)
            if not os.path.exists(self.directory):
                return

    def tell(self, number: int, text: str) -> None:
        """Have the process of an image say something. Called by `commit` alone."""
        prefix = f"{number} :"
        for line in text.splitlines():
            for part in _parts(line, _MAX_LINE_BYTES - len(prefix) - 1):
                self._write(number, prefix + part)

    def _write(self, number: int, line: str) -> None:
        pipe = self._answers[number]
        content = (line + "\n").encode("utf-8", "replace")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._fits(pipe, content):
            if time.monotonic() < deadline:
                time.sleep(_PAUSE_SECONDS)
                continue
            # The process does not read: it was killed or stopped. Empty the pipe.
            with contextlib.suppress(BlockingIOError):
                while os.read(pipe, 1 << 16):
                    pass

    @staticmethod
    def _fits(pipe: int, content: bytes) -> bool:
        """Write a line into a pipe if it has room for all of it."""
        try:
            os.write(pipe, content)
        except BlockingIOError:
            return False
        return True

    def _try_commit(self, number: int, process: int) -> str | None:
        # One that cannot be seen from the start says nothing by its absence.
        watched = is_alive(process)
        marker = os.path.join(self.directory, _INTERRUPTED)

        woken = time.monotonic()

        def report(line: str) -> None:
            nonlocal woken
            if os.path.exists(marker) or (watched and not is_alive(process)):
                raise InterruptedRunError
            if line:
                self.tell(number, line)
            elif time.monotonic() >= woken + _WAKE_SECONDS:
                # A shell notes a signal that comes just before it reads when it has read.
                self._write(number, "")
                woken = time.monotonic()

        try:
            return self._commit(number, report)
        except InterruptedRunError as e:
            return str(e)
        except Exception as e:  # the process must end, and the user must see the reason
            return f"{type(e).__name__}: {e}"
