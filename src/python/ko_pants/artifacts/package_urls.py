"""Package URLs, by which scanners know what a component is.

Source: the purl specification, types `golang` and `oci`. The specification says that the path of a
Go module is written in lower case. Here it is written as Go has it, because vulnerability databases
have it so, and because a reader that wants lower case makes it lower case itself.
"""

from __future__ import annotations

import re
from typing import Mapping
from urllib.parse import quote

from ko_pants.errors import KoPantsError
from ko_pants.golang.build_info import Module
from ko_pants.oci.platform import Platform
from ko_pants.oci.reference import Reference

# What `go version` can say of a release: `go1.26.8`, `go1.27rc1`, `go1.26.8 X:nodwarf5`.
_RELEASE = re.compile(r"go(\d+(?:\.\d+)*)((?:rc|beta)\d+)?(?= |-|$)")
_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:")


def is_directory(module: Module) -> bool:
    """Whether a module is named by its directory, as after `replace example.com/m => ./m`."""
    return module.path.startswith((".", "/", "\\")) or bool(_WINDOWS_DRIVE.match(module.path))


def module_url(module: Module) -> str:
    """`pkg:golang/<path>@<version>`; empty for a directory.

    `(devel)` is no version that anybody could look up, so it is left out.
    """
    path = "/".join(part for part in module.path.split("/") if part)
    if not path or is_directory(module):
        return ""
    version = "" if module.version == "(devel)" else module.version
    return f"pkg:golang/{quote(path, errors='replace')}" + (version and "@" + _quoted(version))


def standard_library_version(go_version: str) -> str:
    """`1.26.8` for `go1.26.8`. What is no release stays as it is."""
    release = _RELEASE.match(go_version)
    return "".join(part or "" for part in release.groups()) if release else go_version


def standard_library_url(go_version: str) -> str:
    """`pkg:golang/stdlib@1.26.8`, as syft, trivy and Go's vulnerability database name it."""
    return "pkg:golang/stdlib@" + _quoted(standard_library_version(go_version))


def standard_library_cpe(go_version: str) -> str:
    """The CPE 2.3 name of Go, for scanners that look there; empty if this is no release."""
    release = _RELEASE.match(go_version)
    return f"cpe:2.3:a:golang:go:{release[1]}:{release[2] or '-'}:*:*:*:*:*:*" if release else ""


def go_toolchain_url(go_version: str) -> str:
    """`pkg:generic/go@1.26.8`: the toolchain has no type of its own."""
    return "pkg:generic/go@" + _quoted(standard_library_version(go_version))


def image_url(digest: str, *, platform: Platform | None = None, name: str = "image") -> str:
    """`pkg:oci/image@sha256%3A<hex>`, with `arch`, `os` and `variant` of the platform.

    :param name: `image` or `index`, as in ko. It is no repository: an SBOM is the same wherever the
        image goes.
    """
    qualifiers = {}
    if platform is not None:
        qualifiers = {
            "arch": platform.architecture,
            "os": platform.os,
            "variant": platform.variant,
        }
    return _oci_url(name, digest, qualifiers)


def base_image_url(name: str, digest: str) -> str:
    """The package URL of a base image, with its repository and tag where `name` is a reference."""
    try:
        reference = Reference.parse(name, default_tag="")
    except KoPantsError:
        # Such as the directory of a layout.
        return _oci_url("image", digest, {})
    repository = f"{reference.registry}/{reference.repository}"
    return _oci_url(
        reference.repository.rpartition("/")[2],
        digest,
        {"repository_url": repository, "tag": reference.tag},
    )


def _oci_url(name: str, digest: str, qualifiers: Mapping[str, str]) -> str:
    query = "&".join(
        f"{key}={quote(qualifiers[key])}" for key in sorted(qualifiers) if qualifiers[key]
    )
    return f"pkg:oci/{_quoted(name)}@{_quoted(digest)}" + (query and "?" + query)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")
