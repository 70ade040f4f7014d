"""Lets the publish goal's own processes say when the tags may move.

Pants runs the processes of `publish` one after another, and only when every rule of the run has
succeeded: when all packages are built. So each image's process is a few lines of shell that knock
at a named pipe and wait for the answer. From the first knock on, the tags of the run may move: from
here, all at once, with the connections and tokens of the run. If the run fails or is interrupted
before, nobody knocks and no tag moves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from typing import Callable

from ko_pants.publishing.temporary import make_directory

#: `$1` the gate's directory, `$2` the image's number. Opened for reading and writing a pipe makes
#: nobody wait; read from an end that only reads it ends when the gate does, however that happens.
KNOCK = """
if ! [ -p "$1/$2" ]; then
  echo "the run that this image belongs to is over" >&2
  exit 1
fi
exec 3<> "$1/knock" 4<> "$1/$2" 5< "$1/$2" 4>&-
printf '%s\\n' "$2" >&3
exec 3>&-
while IFS= read -r line <&5; do
  case $line in
    "$2 exit "*) exit "${line#"$2 exit "}" ;;
    "$2 :"*) printf '%s\\n' "${line#"$2 :"}" >&2 ;;
  esac
done
echo "the run that this image belongs to is over" >&2
exit 1
"""

# A line in a pipe is written whole up to this size (POSIX: at least 512; Linux and macOS: more).
_MAX_LINE = 500

_END = "end"


class CommitGate:
    """A gate for the images of one run; `enter` gives each its number.

    :param commit: makes sure that the tags of an image have moved; takes its number and a function
        for lines of progress, and returns what went wrong, or None.
    """

    def __init__(self, commit: Callable[[int, Callable[[str], None]], str | None]) -> None:
        self._count = 0
        self._commit = commit
        self.directory = make_directory("publish")
        self._answers: dict[int, int] = {}
        self._knocks = os.fdopen(self._make_pipe("knock"), "r", encoding="utf-8")
        self._thread = threading.Thread(target=self._serve, name="ko_pants publish", daemon=True)
        self._thread.start()

    def _make_pipe(self, name: str, flags: int = 0) -> int:
        path = os.path.join(self.directory, name)
        os.mkfifo(path, 0o600)
        # For reading and writing: opening waits for nobody, and the pipe lives as long as we do.
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)

    def enter(self, number: int) -> tuple[str, ...]:
        """The process of one more image: exit status 0 if its tags were moved."""
        self._answers[number] = self._make_pipe(str(number), os.O_NONBLOCK)
        self._count += 1
        return ("/bin/sh", "-c", KNOCK, "ko-publish", self.directory, str(number))

    def close(self) -> None:
        """End an abandoned gate; what waits at it fails."""
        with contextlib.suppress(OSError):
            # Without a reader (the gate has served all its images) this does not wait but fails.
            knock = os.open(os.path.join(self.directory, "knock"), os.O_WRONLY | os.O_NONBLOCK)
            with os.fdopen(knock, "w") as pipe:
                pipe.write(f"{_END}\n")

    def _serve(self) -> None:
        served = 0
        try:
            while served == 0 or served < self._count:
                word = self._knocks.readline().strip()
                if word == _END:
                    return
                number = int(word)
                error = self._try_commit(number)
                if error is not None:
                    self._tell(number, error)
                self._write(number, f"{number} exit {0 if error is None else 1}")
                # The process had its end open before it knocked: it reads on.
                os.close(self._answers.pop(number))
                served += 1
        finally:
            self._knocks.close()
            while self._answers:
                os.close(self._answers.popitem()[1])
            shutil.rmtree(self.directory, ignore_errors=True)

    def _tell(self, number: int, text: str) -> None:
        prefix = f"{number} :"
        size = (_MAX_LINE - len(prefix)) // 4  # UTF-8 has up to four bytes a character
        for line in text.splitlines():
            for start in range(0, max(len(line), 1), size):
                self._write(number, prefix + line[start : start + size])

    def _write(self, number: int, line: str) -> None:
        pipe = self._answers[number]
        content = (line + "\n").encode("utf-8", "replace")
        try:
            os.write(pipe, content)
        except BlockingIOError:
            # Full of what nobody reads: whoever knocked was killed.
            with contextlib.suppress(BlockingIOError):
                while os.read(pipe, 1 << 16):
                    pass
            os.write(pipe, content)

    def _try_commit(self, number: int) -> str | None:
        try:
            return self._commit(number, lambda line: self._tell(number, line))
        except Exception as e:  # the user must see it, and the process must not wait for ever
            return f"{type(e).__name__}: {e}"
