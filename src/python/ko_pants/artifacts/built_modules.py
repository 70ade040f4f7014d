"""The Go modules of an image: each once, however many of its programs have it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Callable, Iterable, Mapping

from ko_pants.artifacts.inventory import Program
from ko_pants.artifacts.package_urls import is_directory, module_url
from ko_pants.golang.build_info import BuildInfo, Module

#: What documents say of a program without build info.
NO_BUILD_INFO = "This executable has no Go build info, so its modules are not known."

_NO_ID = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True)
class BuiltModule:
    """A module whose source is in an executable.

    :param path: as Go names it. A directory if `replace` names one.
    :param version: `(devel)` or empty for a module of the repository.
    :param sum: `h1:<base64>`; empty if there is none.
    :param relative_to: the main module, if `path` is a directory; else empty.
    """

    path: str
    version: str
    sum: str
    relative_to: str = ""

    @cached_property
    def url(self) -> str:
        """Its package URL; empty for a directory."""
        return module_url(Module(self.path, self.version))

    @cached_property
    def sum_hex(self) -> str:
        """The hash in `sum`, as 64 hex digits; empty if it has none."""
        return sum_hex(self.sum)

    @cached_property
    def id(self) -> str:
        """The name of it within a document."""
        return stable_id("GoModule", self.path, self.version, self.sum, self.relative_to)


_order = attrgetter("path", "version", "sum", "relative_to")


@dataclass(frozen=True)
class ProgramModules:
    """What one program is made of.

    :param main: None if the executable does not say.
    :param others: sorted.
    """

    main: BuiltModule | None
    others: tuple[BuiltModule, ...]


@dataclass(frozen=True)
class ImageModules:
    """The modules of an image.

    :param replaced: every module, sorted, and what it replaces: `<path> <version>`.
    :param programs: in the order of the image's programs; None where there is no build info.
    """

    replaced: Mapping[BuiltModule, tuple[str, ...]]
    programs: tuple[ProgramModules | None, ...]


def modules_of(programs: Iterable[Program]) -> ImageModules:
    """The modules of these programs, replacements in place of what they replace."""
    known: dict[BuiltModule, BuiltModule] = {}
    replaced: dict[BuiltModule, set[str]] = {}

    def built(module: Module, info: BuildInfo) -> BuiltModule:
        source = module.built
        relative_to = info.main.path if info.main is not None and is_directory(source) else ""
        found = BuiltModule(source.path, source.version, source.sum, relative_to)
        found = known.setdefault(found, found)
        if source is not module:
            replaced.setdefault(found, set()).add(f"{module.path} {module.version}".strip())
        return found

    found = [_program_modules(program.build_info, built) for program in programs]
    return ImageModules(
        {
            module: tuple(sorted(replaced.get(module, ())))
            for module in sorted(known.values(), key=_order)
        },
        tuple(found),
    )


def _program_modules(
    info: BuildInfo | None, built: Callable[[Module, BuildInfo], BuiltModule]
) -> ProgramModules | None:
    if info is None:
        return None
    main = built(info.main, info) if info.main is not None else None
    others = {built(module, info) for module in info.modules}
    return ProgramModules(main, tuple(sorted(others - {main}, key=_order)))


def module_remarks(module: BuiltModule, replaced: Iterable[str]) -> list[str]:
    """What documents say of a module beside its name and version.

    :param replaced: what it replaces, of `ImageModules`.
    """
    remarks = [f"In place of {other}, by `replace`." for other in replaced]
    if module.relative_to:
        remarks.append(f"A directory, relative to the main module {module.relative_to}.")
    return remarks


def go_versions(programs: Iterable[Program]) -> tuple[str, ...]:
    """The versions of Go that compiled the programs, sorted."""
    infos = (program.build_info for program in programs)
    return tuple(sorted({info.go_version for info in infos if info is not None} - {""}))


def sum_hex(text: str) -> str:
    """The hash in an `h1:` sum of go.sum, as 64 hex digits; empty if it is none."""
    if not text.startswith("h1:"):
        return ""
    try:
        raw = base64.b64decode(text[3:], validate=True)
    except (binascii.Error, ValueError):
        return ""
    return raw.hex() if len(raw) == hashlib.sha256().digest_size else ""


def stable_id(kind: str, *parts: str) -> str:
    """A name within a document: the same parts give the same name. Letters, digits, `.` and `-`.

    :param kind: letters and digits.
    :param parts: what tells the thing from others. The first is what a human reader looks for.
    """
    key = "\0".join(parts).encode("utf-8", "surrogatepass")
    label = _NO_ID.sub("-", parts[0])[:100].strip("-")
    return f"{kind}-{label}-{hashlib.sha256(key).hexdigest()[:16]}"
