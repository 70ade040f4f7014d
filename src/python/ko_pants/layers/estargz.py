"""eStargz: a gzip layer whose files a runtime can fetch one by one, before it has all of it.

As docs/estargz.md of stargz-snapshotter says. Each chunk of a file begins a gzip member. The last
file of the tar, `stargz.index.json`, is the table of contents (TOC), which names the offset of each
chunk in the blob. A footer, a gzip member without content, has the offset of the TOC. An annotation
of the descriptor has the digest of the TOC. Other readers see a gzip layer with one file more.

The TOC is part of the tar, so its diffID is not that of the plain layer, and depends on the
compressor. Standard library only: this module also runs in the layer process's sandbox.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping

from ko_pants.errors import KoPantsError
from ko_pants.layers.blob import BlobSink, Encoder
from ko_pants.layers.tar import TRAILER, TarEntry, changed, header, padding

#: The annotation that a snapshotter checks the TOC with.
TOC_DIGEST_ANNOTATION = "containerd.io/snapshot/stargz/toc.digest"
#: The name of the TOC in the tar.
TOC_NAME = b"stargz.index.json"
FOOTER_BYTES = 51

_XATTR_PREFIX = "SCHILY.xattr."


def estargz_encoder(compress: Callable[[bytes], bytes], chunk_bytes: int) -> Encoder:
    """The encoder that makes a gzip member of every `chunk_bytes` bytes of each file.

    :param compress: makes one gzip member.
    """

    def encode(entries: Iterable[TarEntry], sink: BlobSink) -> Mapping[str, str]:
        writer = _Writer(compress, chunk_bytes, sink)
        for entry in entries:
            writer.add(entry)
        return {TOC_DIGEST_ANNOTATION: writer.finish()}

    return encode


class _Writer:
    def __init__(
        self, compress: Callable[[bytes], bytes], chunk_bytes: int, sink: BlobSink
    ) -> None:
        self._compress = compress
        self._chunk_bytes = chunk_bytes
        self._sink = sink
        self._offset = 0
        self._toc: List[Dict[str, Any]] = []
        # Headers and padding that no member has yet.
        self._pending = b""

    def add(self, entry: TarEntry) -> None:
        """Write an entry.

        :raises KoPantsError: its name is not UTF-8, or that of the TOC; or its file is not as long
            as it says.
        :raises OSError: the file cannot be read.
        """
        described = _described(entry)
        self._pending += header(entry)
        if entry.file is None or not entry.size:
            self._toc.append(described)
            return
        self._add_file(entry, entry.file, described)
        self._pending += bytes(padding(entry.size))

    def _add_file(self, entry: TarEntry, path: bytes, first: Dict[str, Any]) -> None:
        whole = hashlib.sha256()
        done = 0
        described = first
        with open(path, "rb") as file:
            while done < entry.size:
                size = min(self._chunk_bytes, entry.size - done)
                data = file.read(size)
                if len(data) != size:
                    raise changed(path, entry.size)
                whole.update(data)
                self._flush()
                described["offset"] = self._offset
                if done:
                    described["chunkOffset"] = done
                if done + size < entry.size:
                    described["chunkSize"] = size
                described["chunkDigest"] = "sha256:" + hashlib.sha256(data).hexdigest()
                self._toc.append(described)
                self._put(data)
                done += size
                described = {"name": first["name"], "type": "chunk"}
            if file.read(1):
                raise changed(path, entry.size)
        first["digest"] = "sha256:" + whole.hexdigest()

    def finish(self) -> str:
        """Write TOC and footer.

        :returns: the digest of the TOC.
        """
        self._flush()
        toc = json.dumps({"version": 1, "entries": self._toc}, sort_keys=True).encode()
        offset = self._offset
        head = header(TarEntry(TOC_NAME, b"", len(toc), mode=0o444))
        self._put(head + toc + bytes(padding(len(toc))) + TRAILER)
        self._sink.add_encoded(footer(offset))
        return "sha256:" + hashlib.sha256(toc).hexdigest()

    def _flush(self) -> None:
        if self._pending:
            data, self._pending = self._pending, b""
            self._put(data)

    def _put(self, data: bytes) -> None:
        """Write bytes of the tar as one gzip member."""
        member = self._compress(data)
        self._sink.add_tar(data)
        self._sink.add_encoded(member)
        self._offset += len(member)


def _described(entry: TarEntry) -> Dict[str, Any]:
    """What the TOC says of an entry, but for its content. What is 0 or empty is left out."""
    if entry.name.lstrip(b"/") == TOC_NAME:
        raise KoPantsError(
            f"/{TOC_NAME.decode()} is the table of contents of an estargz layer, and no other "
            "file: rename the file, or choose another layer encoding."
        )
    try:
        name = entry.name.decode()
    except UnicodeDecodeError:
        raise KoPantsError(
            f"the name {entry.name!r} is not UTF-8: the table of contents of an estargz layer "
            "cannot have it. Rename the file, or choose another layer encoding."
        ) from None
    xattrs = {
        key[len(_XATTR_PREFIX) :]: base64.b64encode(value).decode()
        for key, value in (entry.pax_records or {}).items()
        if key.startswith(_XATTR_PREFIX)
    }
    described: Dict[str, Any] = {
        "size": entry.size,
        "modtime": _time(entry.mtime) if entry.mtime else "",
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "xattrs": xattrs,
    }
    described = {key: value for key, value in described.items() if value}
    return {"name": name, "type": "dir" if entry.file is None else "reg", **described}


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def footer(toc_offset: int) -> bytes:
    """The last bytes of the blob: an empty gzip member whose extra field has the TOC's offset."""
    extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % toc_offset
    # FEXTRA; no time; level of no compression; unknown system. Then an empty stored block.
    head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H", len(extra))
    return head + extra + b"\x01\x00\x00\xff\xff" + bytes(8)
