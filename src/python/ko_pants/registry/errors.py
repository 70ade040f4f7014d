"""The errors of registries, and how to read what a registry answers when it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ko_pants.errors import KoPantsError
from ko_pants.oci.descriptor import is_digest

_MAX_ERROR_BODY_BYTES = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class RegistryError(KoPantsError):
    """A registry refused or could not be reached.

    `status` is the HTTP status (0 where there was no answer), `codes` the error codes of the
    distribution-spec that the registry named, such as `DENIED`.
    """

    def __init__(self, message: str, *, status: int = 0, codes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.codes = codes


class MissingBlobsError(RegistryError):
    """A manifest was refused because its repository lacks `digests` (empty: it did not say)."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        codes: tuple[str, ...] = (),
        digests: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, status=status, codes=codes)
        self.digests = digests


@dataclass(frozen=True)
class ErrorDetail:
    """One entry of an error reply (OCI distribution-spec, error codes)."""

    code: str
    message: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, self.message, self.detail) if part)


def decode_errors(body: bytes) -> tuple[ErrorDetail, ...]:
    """The errors that a reply names; anything else than the spec's JSON gives none or its text.

    Reads `{"errors": [{code, message, detail}]}`, the `{"details"|"message"|"error"}` that token
    servers and proxies send, and plain text; HTML is dropped. Every part is capped.
    """
    text = body[:_MAX_ERROR_BODY_BYTES].decode("utf-8", "replace")
    try:
        obj = json.loads(text)
    except (ValueError, RecursionError):
        line = printable(text, 200)
        return () if not line or line.startswith("<") else (ErrorDetail("", line),)
    if not isinstance(obj, dict):
        return ()
    entries = obj.get("errors")
    found = []
    for entry in entries[:8] if isinstance(entries, list) else [obj]:
        if not isinstance(entry, dict):
            continue
        code = entry.get("code") or entry.get("error") or ""
        message = entry.get("message") or entry.get("error_description") or entry.get("details")
        detail = entry.get("detail")
        if code == "UNAUTHORIZED" and not isinstance(detail, str):
            # Distribution repeats what was asked for, as a list of objects.
            detail = ""
        shown = detail if isinstance(detail, str) else json.dumps(detail) if detail else ""
        parts = (
            printable(str(code), 60),
            printable(str(message or ""), 300),
            printable(shown, 300),
        )
        if any(parts):
            found.append(ErrorDetail(*parts))
    return tuple(found)


def named_digests(body: bytes) -> tuple[str, ...]:
    """The sha256 digests anywhere in an error reply, in order: the blobs a registry misses."""
    found = re.findall(rb"sha256:[0-9a-f]{64}(?![0-9a-f])", body[:_MAX_ERROR_BODY_BYTES])
    return tuple(dict.fromkeys(d.decode() for d in found if is_digest(d.decode())))


def printable(text: str, limit: int) -> str:
    """`text` of a stranger for one line of a terminal: no control characters, at most `limit`."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
