"""What stands in ko's two kinds of layers: the executable, and the kodata tree.

Sources: `tarBinary`, `tarKoData` and `walkRecursive` of ko 0.19. Standard library only: this module
also runs inside the layer process's sandbox.
"""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterator, List, Tuple

from ko_pants.errors import KoPantsError
from ko_pants.layers.tar import Entry, header

# Windows refuses to run a file without a security descriptor. This one, in self-relative form and
# base64, says owner and group BUILTIN\Users (SDDL `O:BUG:BU`).
_WINDOWS_RECORDS = {
    "MSWINDOWS.rawsd": b"AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA=="
}


def binary_entries(
    executable: bytes, *, os_name: str, app_name: str, capabilities: bytes = b""
) -> Iterator[Entry]:
    """`/ko-app/<app_name>` and its directories; the modification time is always 0.

    `executable` is the file's path on this machine, `os_name` the platform's GOOS, `capabilities`
    the value of the extended attribute `security.capability` (Linux only, empty for none). Raises
    KoPantsError for a name that is not one path component, an executable that is no regular file,
    or capabilities on another system.
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
        directories = (b"ko-app",)
        if capabilities:
            records = {"SCHILY.xattr.security.capability": capabilities}
    info = os.stat(executable)
    if not stat.S_ISREG(info.st_mode):
        raise KoPantsError(f"{os.fsdecode(executable)} is not a regular file: no executable.")
    for directory in directories:
        yield Entry(header(directory, directory=True))
    yield Entry(header(path, size=info.st_size, records=records), executable, info.st_size)


def kodata_entries(
    root: bytes, *, os_name: str, allowed_root: bytes, epoch: int = 0
) -> Iterator[Entry]:
    """`/var/run/ko` and below it the tree at `root`, `epoch` (Unix seconds) on every entry.

    Names come in byte order per directory, a directory before its contents. Symbolic links are
    followed (on Windows left out, as ko does) and may resolve only inside `allowed_root`. A root
    that does not exist gives the bare directories. Unlike ko, which would pack nothing without a
    word, a root that is itself a link is followed. Raises KoPantsError for a link that leaves the
    allowed root, dangles or loops, and for anything but files, directories and links.
    """
    if os_name == "windows":
        image_root = b"Files/var/run/ko"
        directories: Tuple[bytes, ...] = (
            b"Hives",
            b"Files",
            b"Files/var",
            b"Files/var/run",
            image_root,
        )
        file_records = _WINDOWS_RECORDS
    else:
        image_root = b"/var/run/ko"
        directories = (b"/var", b"/var/run", image_root)
        file_records = {}
    for directory in directories:
        yield Entry(header(directory, directory=True, mtime=epoch))
    if not os.path.lexists(root):
        return
    allowed = os.path.realpath(allowed_root)
    real_root, info = _resolve(root, allowed)
    if not stat.S_ISDIR(info.st_mode):
        raise KoPantsError(f"kodata {os.fsdecode(root)} is not a directory.")

    # Directories under way, outermost first: real path, path in the image, names still to come.
    # All are real paths, so only a symbolic link can lead out of the tree or back into it.
    stack: List[Tuple[bytes, bytes, Iterator[bytes]]] = [
        (real_root, image_root, iter(sorted(os.listdir(real_root))))
    ]
    while stack:
        real_parent, image_parent, names = stack[-1]
        base = next(names, None)
        if base is None:
            stack.pop()
            continue
        host = os.path.join(real_parent, base)
        image = image_parent + b"/" + base
        info = os.lstat(host)
        if stat.S_ISLNK(info.st_mode):
            if os_name == "windows":
                continue
            link = host
            host, info = _resolve(link, allowed)
            if any(host == ancestor for ancestor, _, _ in stack):
                raise KoPantsError(
                    f"kodata symbolic link {os.fsdecode(link)} leads back to a directory that "
                    f"contains it ({os.fsdecode(host)}): the tree would have no end. Remove the "
                    "link."
                )
        if stat.S_ISDIR(info.st_mode):
            yield Entry(header(image, directory=True, mtime=epoch))
            stack.append((host, image, iter(sorted(os.listdir(host)))))
        elif stat.S_ISREG(info.st_mode):
            size = info.st_size
            yield Entry(header(image, size=size, mtime=epoch, records=file_records), host, size)
        else:
            raise KoPantsError(
                f"kodata {os.fsdecode(host)} is neither a file nor a directory nor a link (mode "
                f"{stat.filemode(info.st_mode)}): it cannot go into an image. Remove it."
            )


def _resolve(link: bytes, allowed: bytes) -> Tuple[bytes, os.stat_result]:
    target = os.path.realpath(link)
    if target != allowed and not target.startswith(allowed.rstrip(b"/") + b"/"):
        raise KoPantsError(
            f"kodata symbolic link {os.fsdecode(link)} resolves to {os.fsdecode(target)}, which is "
            f"outside the allowed root {os.fsdecode(allowed)}. Copy the file into the tree, or "
            "link to one inside the root."
        )
    try:
        return target, os.stat(target)
    except OSError as error:
        raise KoPantsError(
            f"kodata symbolic link {os.fsdecode(link)} cannot be followed: {error.strerror} "
            f"({os.fsdecode(target)}). Make it point to a file or a directory."
        ) from None
