"""Runs a signer: one process for one image in one repository. The protocol: `artifacts/signing.py`.

It is a process of this one, not of Pants: keys, agents and tokens must reach it, and no cache may
keep what it does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from typing import BinaryIO, Callable

from ko_pants.artifacts.artifact import Artifact
from ko_pants.artifacts.signing import (
    MAX_ANSWER_BYTES,
    MAX_LAYER_BYTES,
    SigningRequest,
    parse_answer,
)
from ko_pants.errors import KoPantsError
from ko_pants.publishing.signer_settings import SignerSettings
from ko_pants.publishing.temporary import make_directory
from ko_pants.registry.errors import printable
from ko_pants.registry.redaction import Redactor

logger = logging.getLogger(__name__)

_REFERENCE = "{reference}"
_SHOWN_ERROR_BYTES = 1000
_SHOWN_COMMAND = 200
# Variables whose values a signer may write when it fails.
_SECRET_VARIABLE = re.compile("SECRET|TOKEN|PASS|PIN$|KEY|CREDENTIAL|IDENTITY_HEADER")


class Signer:
    """The signer of one run. Thread-safe.

    :param redact: takes the secrets of the run out of a text.
    """

    def __init__(self, settings: SignerSettings, redact: Callable[[str], str]) -> None:
        self.settings = settings
        self._redact_run = redact
        self._redact_own = Redactor()
        self._redact_own.add(
            value for name, value in settings.environment.items() if _SECRET_VARIABLE.search(name)
        )
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def program(self) -> str:
        """The path of the command.

        :raises KoPantsError: there is none; the text says where it was looked for.
        """
        name = self.settings.argv[0]
        if "/" in name:
            path = os.path.join(self.settings.build_root, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
            fault = "is no file that can be executed; make it one (`chmod +x`), or correct the path"
            raise KoPantsError(f"option [ko].signer: {path} {fault}")
        places = self.settings.environment.get("PATH") or os.defpath
        found = shutil.which(name, path=places)
        if found is None:
            raise KoPantsError(
                f"option [ko].signer: the command {name!r} is not on the PATH ({places}); a "
                f"program in the repository has a `/` in its path, such as `./{name}`"
            )
        return found

    def sign(self, request: SigningRequest) -> tuple[Artifact, ...]:
        """Have an image signed; returns what is to be attached for the signer.

        :raises KoPantsError: the signer cannot be run, fails, takes too long, or answers what is
            not understood. The text names option, command and image, and what the signer wrote.
        """
        program = self.program()
        scratch = make_directory("sign")
        try:
            # Files, not pipes: an agent that a signer starts keeps a pipe open for ever.
            with _open_file() as asked, _open_file() as answered, _open_file() as said:
                asked.write(request.content())
                asked.seek(0)
                try:
                    argv = [a.replace(_REFERENCE, request.reference) for a in self.settings.argv]
                    self._run([program, *argv[1:]], scratch, asked, answered, said)
                    artifacts = parse_answer(_answer(answered), request, self._read_file)
                except KoPantsError as e:
                    raise self._failed(request, str(e), said) from None
                logger.debug("the signer of %s wrote: %s", request.reference, self._tail(said))
                return artifacts
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def close(self) -> None:
        """End the processes that still run; none begins any more."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for process in running:
            _kill(process)

    def _run(
        self, argv: list[str], scratch: str, asked: BinaryIO, answered: BinaryIO, said: BinaryIO
    ) -> None:
        settings = self.settings
        with self._lock:
            if self._closed:
                raise KoPantsError("the run is over")
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=asked,
                    stdout=answered,
                    stderr=said,
                    cwd=settings.build_root,
                    env={**settings.environment, "TMPDIR": scratch},
                    start_new_session=True,
                )
            except OSError as e:
                hint = "; does it begin with `#!`?" if e.strerror == "Exec format error" else ""
                raise KoPantsError(f"it cannot be run: {e.strerror}{hint}") from None
            self._running.add(process)
        try:
            code = process.wait(settings.timeout_seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            raise KoPantsError(
                f"it took longer than {settings.timeout_seconds:g} seconds and was ended "
                "(option [ko].signer_timeout)"
            ) from None
        finally:
            with self._lock:
                self._running.discard(process)
        if code:
            raise KoPantsError(f"exit code {code}" if code > 0 else f"signal {-code}")

    def _read_file(self, path: str) -> bytes:
        full = os.path.join(self.settings.build_root, path)
        try:
            found = os.stat(full)
            if not stat.S_ISREG(found.st_mode):
                raise KoPantsError(f"found {path!r}, which is no file")
            if found.st_size > MAX_LAYER_BYTES:
                raise KoPantsError(
                    f"{path!r} has {found.st_size} bytes, expected at most {MAX_LAYER_BYTES}"
                )
            with open(full, "rb") as file:
                return file.read()
        except OSError as e:
            raise KoPantsError(f"{path!r} cannot be read: {e.strerror}") from None
        except UnicodeEncodeError:
            raise KoPantsError(f"{path!r} is no path") from None

    def _failed(self, request: SigningRequest, problem: str, said: BinaryIO) -> KoPantsError:
        """The error for the user; `problem` is what went wrong."""
        command = printable(self._redact(shlex.join(self.settings.argv)), _SHOWN_COMMAND)
        told = self._tail(said)
        return KoPantsError(
            f"the signer `{command}` (option [ko].signer) failed for {request.reference}: "
            + self._redact(problem)
            + (f". It wrote: {told}" if told else "")
        )

    def _tail(self, said: BinaryIO) -> str:
        """The end of what a signer wrote on its standard error, in one line."""
        size = said.seek(0, os.SEEK_END)
        # A secret that the cut goes through would not be recognised.
        said.seek(max(0, size - 64 * _SHOWN_ERROR_BYTES))
        text = self._redact(said.read().decode("utf-8", "replace"))
        line = printable(text, len(text))
        return line if len(line) <= _SHOWN_ERROR_BYTES else f"…{line[1 - _SHOWN_ERROR_BYTES :]}"

    def _redact(self, text: str) -> str:
        return self._redact_run(self._redact_own(text))


def _open_file() -> BinaryIO:
    return tempfile.TemporaryFile()


def _answer(answered: BinaryIO) -> bytes:
    size = answered.seek(0, os.SEEK_END)
    if size > MAX_ANSWER_BYTES:
        raise KoPantsError(
            f"the answer: found {size} bytes, expected at most {MAX_ANSWER_BYTES}; give large "
            "layers as `path`"
        )
    answered.seek(0)
    return answered.read()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
