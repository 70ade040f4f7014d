"""OCI image layouts on disk (OCI image-spec, image-layout.md): read, and written atomically.

Blobs are named by their content and never change. `index.json` is replaced by a rename, under a
lock: a reader sees either the old images or the new ones, and two writers keep each other's images.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from io import RawIOBase
from typing import Any, BinaryIO, Iterator, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import Descriptor
from ko_pants.oci.documents import canonical_json, parse_document
from ko_pants.oci.layout_artifacts import (
    ANNOTATION_REF_NAME,
    artifact_types,
    is_artifact,
    reference_name,
    without_orphans,
)

_CHUNK_BYTES = 1 << 20


class Layout:
    """The layout in the directory `path`, which does not have to exist before the first write."""

    def __init__(self, path: str) -> None:
        self.path = path

    def blob_path(self, digest: str) -> str:
        """The path of the blob, whether or not it is there."""
        algorithm, _, hexadecimal = digest.partition(":")
        return os.path.join(self.path, "blobs", algorithm, hexadecimal)

    def has_blob(self, descriptor: Descriptor) -> bool:
        """True if there is a file of the right size for the blob."""
        try:
            return os.stat(self.blob_path(descriptor.digest)).st_size == descriptor.size
        except OSError:
            return False

    def read_blob(self, descriptor: Descriptor) -> bytes:
        """The bytes of a small blob, verified by digest.

        :raises KoPantsError: the blob is missing, or its content has another digest.
        """
        import hashlib

        try:
            with open(self.blob_path(descriptor.digest), "rb") as f:
                content = f.read()
        except OSError as e:
            raise KoPantsError(
                f"OCI layout {self.path}: blob {descriptor.digest} cannot be read "
                f"({e.strerror}); expected the layout to be complete"
            ) from None
        if "sha256:" + hashlib.sha256(content).hexdigest() != descriptor.digest:
            raise KoPantsError(
                f"OCI layout {self.path}: blob {descriptor.digest} has other content than its "
                "digest says; write the layout anew"
            )
        return content

    def references(self) -> dict[str, Descriptor]:
        """The named entries of `index.json` by reference name; none where there is no layout.

        :raises KoPantsError: `index.json` is no index.
        """
        out: dict[str, Descriptor] = {}
        for descriptor in self.entries():
            name = dict(descriptor.annotations).get(ANNOTATION_REF_NAME)
            if name:
                out[name] = descriptor
        return out

    def entries(self, *, artifacts: bool = True) -> tuple[Descriptor, ...]:
        """Every entry of `index.json`, named or not.

        :param artifacts: also those of artifacts, which belong to another entry.
        :raises KoPantsError: `index.json` is no index.
        """
        return tuple(
            Descriptor.from_json(entry, where=os.path.join(self.path, "index.json"))
            for entry in self._index()["manifests"]
            if artifacts or not is_artifact(entry)
        )

    def artifact_types(self, subject: str) -> frozenset[str]:
        """The types of the artifacts that are about the manifest with the digest `subject`.

        :raises KoPantsError: `index.json` is no index.
        """
        return artifact_types(self, self._index()["manifests"], subject)

    def write_blob(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Write a blob from a stream. It is verified before it gets its name.

        :raises KoPantsError: the bytes have another digest or size than the descriptor says, or the
            layout cannot be written.
        """
        import tempfile

        path = self.blob_path(descriptor.digest)
        directory = os.path.dirname(path)
        with self._explaining_failed_writes():
            os.makedirs(directory, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=directory, prefix=".incoming-")
        try:
            found, size = self._copy(stream, handle)
            if found != descriptor.digest or size != descriptor.size:
                raise KoPantsError(
                    f"blob {descriptor.digest} ({descriptor.size} bytes) arrived as {found} "
                    f"({size} bytes); nothing was written"
                )
            with self._explaining_failed_writes():
                os.chmod(temporary, 0o644)
                os.replace(temporary, path)
        except BaseException:
            _unlink(temporary)
            raise

    def _copy(self, stream: BinaryIO, handle: int) -> tuple[str, int]:
        """Copy a stream into the open file `handle`, and close that.

        :returns: digest and size in bytes.
        :raises KoPantsError: the file cannot be written.
        """
        import hashlib

        digest, size = hashlib.sha256(), 0
        # Without a buffer: what is left in one would be written once more on close.
        with os.fdopen(handle, "wb", buffering=0) as out:
            while True:
                chunk = stream.read(_CHUNK_BYTES)
                if not chunk:
                    # Some file systems tell only now that there is no room.
                    with self._explaining_failed_writes():
                        out.close()
                    return "sha256:" + digest.hexdigest(), size
                digest.update(chunk)
                size += len(chunk)
                with self._explaining_failed_writes():
                    _write_all(out, chunk)

    def update(
        self,
        references: Mapping[str, Descriptor],
        artifacts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Name these descriptors in `index.json`, all at once, and list these artifacts.

        The blobs must have been written. Other entries stay as they are. But an image that loses
        its last name loses its entry with it, and then the entries of its artifacts go too.

        :param references: reference name to descriptor.
        :param artifacts: entries for manifests with a `subject`. They have an `artifactType` and no
            name; one that is there already stays as it is.
        :raises KoPantsError: `index.json` is no index, or the layout cannot be written.
        """
        with self._explaining_failed_writes():
            os.makedirs(self.path, exist_ok=True)
            with self._locked():
                self._update(references, artifacts)

    def _update(
        self, references: Mapping[str, Descriptor], artifacts: Sequence[Mapping[str, Any]]
    ) -> None:
        marker = os.path.join(self.path, "oci-layout")
        if not os.path.exists(marker):
            _replace(marker, b'{"imageLayoutVersion":"1.0.0"}')
        document = self._index()
        kept: list[Any] = []
        replaced: list[Any] = []
        for entry in document["manifests"]:
            (replaced if reference_name(entry) in references else kept).append(entry)
        for name in sorted(references):
            entry = references[name].to_json()
            entry["annotations"] = {**entry.get("annotations", {}), ANNOTATION_REF_NAME: name}
            kept.append(entry)
        known = {entry.get("digest") for entry in kept if isinstance(entry, dict)}
        for artifact in artifacts:
            if artifact["digest"] not in known:
                known.add(artifact["digest"])
                kept.append(dict(artifact))
        if any(map(is_artifact, kept)):
            kept = without_orphans(self, kept, replaced)
        document.update(schemaVersion=2, manifests=kept)
        _replace(os.path.join(self.path, "index.json"), canonical_json(document))

    def _index(self) -> dict[str, Any]:
        path = os.path.join(self.path, "index.json")
        try:
            with open(path, "rb") as f:
                content = f.read()
        except FileNotFoundError:
            return {"manifests": []}
        except OSError as e:
            raise KoPantsError(
                f"OCI layout {self.path}: {path} cannot be read: {e.strerror}; {_way_out(e, path)}"
            ) from None
        document = parse_document(content, where=path)
        # Go programs write an empty list as null.
        entries = document.get("manifests") or []
        if not isinstance(entries, list):
            raise KoPantsError(f"{path}: expected a list `manifests`, found {entries!r:.80}")
        return {**document, "manifests": entries}

    @contextmanager
    def _explaining_failed_writes(self) -> Iterator[None]:
        """Let an `OSError` name the layout and say what can be done."""
        try:
            yield
        except OSError as e:
            where = e.filename2 or e.filename or self.path
            raise KoPantsError(
                f"OCI layout {self.path}: cannot write {where}: {e.strerror}; "
                f"{_way_out(e, str(where))} (option [ko].layout_path)"
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        import fcntl

        with open(os.path.join(self.path, ".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def parse_layout_reference(text: str) -> tuple[str, str]:
    """Split `oci:<directory>[:<reference name or digest>]` as skopeo does.

    :returns: the directory, and the name (empty where there is none).
    """
    path, _, name = text[len("oci:") :].partition(":")
    return path, name


def find_in_layout(layout: Layout, name: str) -> Descriptor:
    """The entry with that reference name or digest.

    :param name: empty for the only entry of the layout.
    :raises KoPantsError: there is no such entry, or there are several and no name to choose by. The
        message lists what is there.
    """
    entries = layout.entries(artifacts=False)
    if not name and len(entries) == 1:
        return entries[0]
    for entry in layout.entries() if name else ():
        if name and name in (entry.digest, dict(entry.annotations).get(ANNOTATION_REF_NAME)):
            return entry
    names = sorted(dict(e.annotations).get(ANNOTATION_REF_NAME, e.digest) for e in entries)
    if name:
        expected = f"an image named {name!r}"
    elif names:
        expected = "one image, but there are several: name one, `oci:<directory>:<name>`"
    else:
        expected = "an image"
    raise KoPantsError(
        f"OCI layout {layout.path}: expected {expected}; found {', '.join(names) or 'none'}"
    )


def _way_out(error: OSError, path: str) -> str:
    """What a user can do about a path of a layout that cannot be used."""
    other = "or choose another place for the layout"
    obstacle = _obstacle(error, path)
    if obstacle:
        return f"{obstacle}; move it away, {other}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"make room, {other}"
    return f"make it accessible for this user, {other}"


def _obstacle(error: OSError, path: str) -> str:
    """What is in the way of a file at `path`, or of a directory above it; empty if nothing is."""
    if error.errno == errno.EISDIR:
        return f"expected a file, but {path} is a directory"
    if error.errno not in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
        return ""
    while path and not os.path.lexists(path):
        path = os.path.dirname(path)
    if not path or os.path.isdir(path):
        return ""
    found = "a file" if os.path.exists(path) else "a link that leads nowhere"
    return f"expected a directory, but {path} is {found}"


def _write_all(out: RawIOBase, content: bytes) -> None:
    """Write all of `content`: a write without a buffer may take only a part of it."""
    rest = memoryview(content)
    while rest:
        rest = rest[out.write(rest) or 0 :]


def _replace(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb", buffering=0) as f:
            _write_all(f, content)
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        _unlink(temporary)
        raise


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
