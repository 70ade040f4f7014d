"""Which artifacts can be made of an image, and how the texts that ask for them are read."""

from __future__ import annotations

import re
from typing import Iterable

from ko_pants.errors import KoPantsError

SPDX = "spdx"
CYCLONEDX = "cyclonedx"
PROVENANCE = "provenance"
#: The formats of an SBOM.
SBOM_FORMATS = (SPDX, CYCLONEDX)

REFERRERS = "referrers"
TAGS = "tags"
#: The ways to attach an SBOM to an image in a registry.
ATTACHMENTS = (REFERRERS, TAGS)

# ko's `--sbom=none`.
_NONE = "none"
# RFC 3986, appendix B: a scheme, and something behind it.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


def parse_sbom_formats(values: Iterable[str]) -> tuple[str, ...]:
    """The formats, sorted, each once. `none` alone stands for no SBOM, as in ko.

    :raises KoPantsError: one does not exist, or something stands beside `none`.
    """
    found = tuple(values)
    if _NONE in found:
        if set(found) != {_NONE}:
            raise KoPantsError(
                f"`none` means no SBOM, so nothing can stand beside it; found {', '.join(found)}. "
                "Leave out `none`, or the others"
            )
        return ()
    for name in found:
        if name not in SBOM_FORMATS:
            raise KoPantsError(
                f"there is no SBOM format {name!r}; expected some of {', '.join(SBOM_FORMATS)}, or "
                f"{_NONE}"
            )
    return tuple(sorted(set(found)))


def after_none(values: Iterable[str]) -> tuple[str, ...]:
    """The values from the last `none` on.

    Pants adds `--ko-sbom=none` to what the configuration has, and the user means "not now".
    """
    found = tuple(values)
    ends = [at for at, value in enumerate(found) if value == _NONE]
    return (found[ends[-1] + 1 :] or (_NONE,)) if ends else found


def parse_attachment(value: str) -> str:
    """One of `ATTACHMENTS`.

    :raises KoPantsError: it is none of them.
    """
    if value not in ATTACHMENTS:
        raise KoPantsError(f"found {value!r}; expected {' or '.join(ATTACHMENTS)}")
    return value


def check_builder_id(value: str) -> None:
    """Refuse what is no absolute URI (SLSA v1.0, provenance, `builder.id` is a TypeURI).

    :raises KoPantsError: it is none.
    """
    if not _URI.fullmatch(value):
        raise KoPantsError(
            f"found {value!r}; expected an absolute URI that names who builds, such as "
            "https://ci.example.com/runner"
        )


def check_invocation_id(value: str) -> None:
    """Refuse what is no line of text.

    :raises KoPantsError: it has line breaks or control characters.
    """
    if not value.isprintable():
        raise KoPantsError(
            f"found {value!r}; expected one line of text that names the run, such as its URL"
        )
