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
from typing import Callable, TextIO

from ko_pants.publishing.temporary import make_directory

#: `$1` the gate's directory, `$2` the image's number.
KNOCK = """
printf '%s\\n' "$2" > "$1/knock" || exit 1
while read -r line; do
  case $line in
    "exit "*) exit "${line#exit }" ;;
    *) printf '%s\\n' "$line" >&2 ;;
  esac
done < "$1/$2"
echo "the run that this image belongs to is over" >&2
exit 1
"""

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
        os.mkfifo(os.path.join(self.directory, "knock"), 0o600)
        # Read and write: opening does not wait, and reading never sees an end.
        self._knocks = os.fdopen(
            os.open(os.path.join(self.directory, "knock"), os.O_RDWR), "r", closefd=True
        )
        self._thread = threading.Thread(target=self._serve, name="ko_pants publish", daemon=True)
        self._thread.start()

    def enter(self, number: int) -> tuple[str, ...]:
        """The process of one more image: exit status 0 if its tags were moved."""
        os.mkfifo(os.path.join(self.directory, str(number)), 0o600)
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
                with open(os.path.join(self.directory, word), "w", buffering=1) as answer:
                    error = self._try_commit(int(word), answer)
                    answer.write("exit 0\n" if error is None else f"{error}\nexit 1\n")
                served += 1
        except OSError:
            # Whoever knocked is gone; the next one gets no answer and fails.
            return
        finally:
            self._knocks.close()
            shutil.rmtree(self.directory, ignore_errors=True)

    def _try_commit(self, number: int, answer: TextIO) -> str | None:
        try:
            return self._commit(number, lambda line: print(line, file=answer))
        except Exception as e:  # the user must see it, and the process must not wait for ever
            return f"{type(e).__name__}: {e}"
