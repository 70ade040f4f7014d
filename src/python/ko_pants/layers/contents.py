"""What can be in a layer: an executable, or a tree of files; each as a sequence of tar entries.

The executable and the kodata tree are as ko 0.19 writes them (its `tarBinary`, `tarKoData` and
`walkRecursive`). Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterator, List, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.layers.tar import TarEntry

#: The mode of everything that ko writes.
KO_MODE = 0o555

# Windows refuses to run a file without a security descriptor. This one, in self-relative form and
# base64, says owner and group BUILTIN\Users (SDDL `O:BUG:BU`).
_WINDOWS_RECORDS = {
    "MSWINDOWS.rawsd": b"AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA=="
}


def executable_entries(
    file: bytes, *, os_name: str, app_name: str, capabilities: bytes = b""
) -> Iterator[TarEntry]:
    """`/ko-app/<app_name>` and its directories. Mode 0555, owner 0, modification time 0.

    :param file: the executable's path on this machine.
    :param os_name: GOOS of the image.
    :param capabilities: the value of the extended attribute `security.capability`, for Linux only;
        empty for none.
    :raises KoPantsError: the name is not one path component, the executable is not a regular file,
        or there are capabilities for another system than Linux.
    """
    name = app_name.encode("utf-8", "surrogateescape")
    if not name or b"/" in name or b"\0" in name or name in (b".", b".."):
        raise KoPantsError(
            f"{app_name!r} cannot be the name of the executable in the image: expected one path "
            "component, such as 'server'."
        )
    if capabilities and os_name != "linux":
        raise KoPantsError(
            f"Linux capabilities were given for a {os_name} executable ({app_name}): only Linux "
            "images can have them. Leave them out for this platform."
        )
    path = b"/ko-app/" + name
    records: Dict[str, bytes] = {}
    if os_name == "windows":
        directories: Tuple[bytes, ...] = (b"Hives", b"Files", b"Files/ko-app")
        path = b"Files" + path
        records = _WINDOWS_RECORDS
    else:
        # ko writes the directory without a slash in front, and the file with one.
        directories = (b"ko-app",)
        if capabilities:
            records = {"SCHILY.xattr.security.capability": capabilities}
    info = os.stat(file)
    if not stat.S_ISREG(info.st_mode):
        raise KoPantsError(f"{os.fsdecode(file)} is not a regular file: no executable.")
    for directory in directories:
        yield TarEntry(directory, mode=KO_MODE)
    yield TarEntry(path, file, info.st_size, mode=KO_MODE, pax_records=records)


def tree_entries(
    root: bytes,
    *,
    at: bytes,
    os_name: str,
    allowed_root: bytes,
    mtime: int = 0,
    file_mode: int = KO_MODE,
    executable_mode: int = KO_MODE,
    directory_mode: int = KO_MODE,
    uid: int = 0,
    gid: int = 0,
    directories: str = "all",
) -> Iterator[TarEntry]:
    """The directory `at` of the image with the tree below `root`. ko's kodata is at `/var/run/ko`.

    Names come in byte order per directory, a directory before its contents. A root that does not
    exist gives an empty directory. Links are followed, also where ko leaves them out: for Windows,
    where the program would miss a file that it has on Linux, and if the root itself is one.

    :param root: the tree's path on this machine; its last part names the tree in messages.
    :param at: an absolute path in the image, as Linux spells it; Windows layers have it in `Files`.
    :param os_name: GOOS of the image.
    :param allowed_root: the directory on this machine that links may not lead out of.
    :param mtime: modification time of every entry, in seconds since the epoch.
    :param executable_mode: of files that their owner can run here; `file_mode` is of the others.
    :param directories: `all`; `tree` for `at` and those below; or `none`. Those above `at` have
        `KO_MODE` and owner 0. A directory in a layer replaces mode and owner of that in the base
        image, and a link to one (`/bin` of many bases). Windows layers always have all: there
        nobody makes what is missing.
    :raises KoPantsError: `at` is not such a path; a link leaves the allowed root, dangles or leads
        back to itself; there is something else than files, directories and links; a name would
        delete a file of the base image.
    """
    windows, records = (True, _WINDOWS_RECORDS) if os_name == "windows" else (False, {})
    *above, top = _directories_down_to(at, windows=windows)
    if _checked(directories) == "all" or windows:
        for name in above:
            yield TarEntry(name, mode=KO_MODE, mtime=mtime)
    write_directories = windows or directories != "none"
    if write_directories and top not in (b"", b"Files"):
        yield TarEntry(top, mode=directory_mode, uid=uid, gid=gid, mtime=mtime)
    for below, file, info in _walk(root, allowed_root):
        name = top + below
        _check_no_whiteout(name)
        if not stat.S_ISDIR(info.st_mode):
            mode = executable_mode if info.st_mode & stat.S_IXUSR else file_mode
            yield TarEntry(name, file, info.st_size, mode, uid, gid, mtime, records)
        elif write_directories:
            yield TarEntry(name, mode=directory_mode, uid=uid, gid=gid, mtime=mtime)


def _checked(directories: str) -> str:
    if directories not in ("all", "tree", "none"):
        raise KoPantsError(f"unknown directories {directories!r}: expected all, tree or none.")
    return directories


def _directories_down_to(at: bytes, *, windows: bool) -> list[bytes]:
    """The directories of a layer down to `at`, which is the last."""
    if not windows:
        return _paths_down_to(at)
    return [b"Hives", b"Files", *(b"Files" + path for path in _paths_down_to(at))]


def _check_no_whiteout(name: bytes) -> None:
    """Refuse what image-spec (layer.md, Whiteouts) takes for an order to delete."""
    if os.path.basename(name).startswith(b".wh."):
        raise KoPantsError(
            f"{os.fsdecode(name)} cannot go into an image: a name that begins with '.wh.' deletes "
            "a file of the layers below. Rename the file."
        )


def _paths_down_to(at: bytes) -> List[bytes]:
    """The path of each directory from below the image's root to `at`; one empty path for `/`."""
    if at == b"/":
        return [b""]
    parts = at.split(b"/")[1:]
    if not at.startswith(b"/") or b"\0" in at or any(p in (b"", b".", b"..") for p in parts):
        raise KoPantsError(
            f"{os.fsdecode(at)!r} cannot be the place of a tree in the image: expected an absolute "
            "path without '.', '..' and a slash at the end, such as '/etc/app'."
        )
    return [b"/" + b"/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _walk(root: bytes, allowed_root: bytes) -> Iterator[Tuple[bytes, bytes, os.stat_result]]:
    """Each directory and file below `root`: its path below it, its path here, and its status.

    The path below the root begins with a slash; the status is of what a link leads to.
    """
    if not os.path.lexists(root):
        return
    tree = os.fsdecode(os.path.basename(os.path.normpath(root)))
    allowed = os.path.realpath(allowed_root)
    real_root, info = _resolve(root, allowed, tree)
    if not stat.S_ISDIR(info.st_mode):
        raise KoPantsError(f"{tree} {os.fsdecode(root)} is not a directory.")
    # The directories that contain the current one, outermost first: real path, path below the root,
    # names still to come. All are real paths, so only a symbolic link can lead out of the tree or
    # back into it.
    stack: List[Tuple[bytes, bytes, Iterator[bytes]]] = [
        (real_root, b"", iter(sorted(os.listdir(real_root))))
    ]
    while stack:
        real_parent, parent, names = stack[-1]
        base = next(names, None)
        if base is None:
            stack.pop()
            continue
        path, below = os.path.join(real_parent, base), parent + b"/" + base
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            link = path
            path, info = _resolve(link, allowed, tree)
            if any(path == ancestor for ancestor, _, _ in stack):
                raise KoPantsError(
                    f"{tree} symbolic link {os.fsdecode(link)} leads back to a directory that "
                    f"contains it ({os.fsdecode(path)}): the tree would have no end. Remove the "
                    "link."
                )
        if stat.S_ISDIR(info.st_mode):
            stack.append((path, below, iter(sorted(os.listdir(path)))))
        elif not stat.S_ISREG(info.st_mode):
            raise KoPantsError(
                f"{tree} {os.fsdecode(path)} is neither a file nor a directory nor a link (mode "
                f"{stat.filemode(info.st_mode)}): it cannot go into an image. Remove it."
            )
        yield below, path, info


def _resolve(link: bytes, allowed: bytes, tree: str) -> Tuple[bytes, os.stat_result]:
    target = os.path.realpath(link)
    if target != allowed and not target.startswith(allowed.rstrip(b"/") + b"/"):
        raise KoPantsError(
            f"{tree} symbolic link {os.fsdecode(link)} resolves to {os.fsdecode(target)}, which is "
            f"outside the allowed root {os.fsdecode(allowed)}. Copy the file into the tree, or "
            "link to one inside the root."
        )
    try:
        return target, os.stat(target)
    except OSError as error:
        raise KoPantsError(
            f"{tree} symbolic link {os.fsdecode(link)} cannot be followed: {error.strerror} "
            f"({os.fsdecode(target)}). Make it point to a file or a directory."
        ) from None
