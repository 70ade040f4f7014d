"""Replacing a file as a whole: a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import tempfile

from ko_pants.errors import KoPantsError


def replace_file(path: str, content: bytes) -> None:
    """Write `content` to a temporary file beside `path`, and rename it.

    A link stays, and what it leads to is replaced. Mode bits stay as well; a new file has those
    that the umask leaves.

    :raises KoPantsError: it cannot be written. The old file is as it was.
    """
    path = os.path.realpath(path)
    directory = os.path.dirname(path)
    try:
        os.makedirs(directory, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=directory)
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(content)
                f.flush()
                os.fsync(f.fileno())
            os.chmod(temporary, _mode(path))
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise KoPantsError(
            f"cannot write {path}: {e.strerror}. The directory has to be writable for this user, "
            "and there must be no directory of this name"
        ) from None


def _mode(path: str) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.stat(path).st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
