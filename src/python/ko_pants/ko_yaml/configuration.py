"""The file `.ko.yaml`, as ko 0.19.1 reads it (`pkg/commands/options/build.go`, with viper).

Keys have no case, import paths in `baseImageOverrides` neither. A list may be written as one text,
which is split at blanks. ko passes over keys that it does not know; here they are reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator

import yaml

from ko_pants.errors import KoPantsError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class KoBuild:
    """An entry of `builds`: how one main package is built.

    :param directory: `dir`, relative to the configuration's directory.
    :param main: directory or Go file of the main package, relative to `directory`.
    :param line: of the entry, from 1.
    """

    id: str = ""
    directory: str = "."
    main: str = "."
    env: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    linux_capabilities: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True)
class KoConfiguration:
    """What a `.ko.yaml` says; empty where it says nothing.

    :param base_image_overrides: import paths in lower case, and references.
    :param ignored: what is in the file and has no effect, with file and line.
    """

    default_base_image: str = ""
    base_image_overrides: tuple[tuple[str, str], ...] = ()
    default_platforms: tuple[str, ...] = ()
    default_env: tuple[str, ...] = ()
    default_flags: tuple[str, ...] = ()
    default_ldflags: tuple[str, ...] = ()
    builds: tuple[KoBuild, ...] = ()
    ignored: tuple[str, ...] = ()


def parse_configuration(content: bytes, path: str) -> KoConfiguration:
    """Read a `.ko.yaml`.

    :param path: of the file, for messages.
    :raises KoPantsError: it is no YAML, or a value has the wrong shape; file and line are named.
    """
    try:
        document = yaml.compose(content.decode("utf-8-sig"), Loader=_LOADER)  # type: ignore[no-untyped-call]
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise KoPantsError(f"{path}{place}: {getattr(e, 'problem', None) or e}") from None
    except UnicodeDecodeError:
        raise KoPantsError(f"{path}: expected UTF-8") from None
    reader = _Reader(path)
    fields = reader.fields(document, _TOP) if document is not None else {}
    return KoConfiguration(**fields, ignored=tuple(reader.ignored))


class _Reader:
    """Reads the nodes of a file; what has no effect is put into `ignored`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.ignored: list[str] = []

    def fields(self, node: Any, known: dict[str, tuple[str, str]]) -> dict[str, Any]:
        """The values of a mapping, by the names of the fields that they are for."""
        out: dict[str, Any] = {}
        for key, value in self.pairs(node):
            if key.value.lower() not in known:
                expected = ", ".join(name for name, _ in known.values())
                self.ignored.append(
                    f"{self._where(key)}: the key {key.value!r} has no effect; known are {expected}"
                )
                continue
            _, field = known[key.value.lower()]
            if not _is_null(value):
                out[field] = getattr(self, _SHAPES[field])(value)
        return out

    def pairs(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """The keys and values of a mapping."""
        if _is_null(node):
            return
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, "keys and values")
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a key")
            line = seen.setdefault(key.value.lower(), key.start_mark.line)
            if line != key.start_mark.line:
                raise KoPantsError(
                    f"{self._where(key)}: the key {key.value!r} is in line {line + 1} already"
                )
            yield key, value

    def text(self, node: Any) -> str:
        """A scalar."""
        if not isinstance(node, yaml.ScalarNode):
            raise self._wrong(node, "a text")
        return str(node.value)

    def texts(self, node: Any) -> tuple[str, ...]:
        """A list of scalars."""
        return self._listed(node, lambda value: (value,))

    def words(self, node: Any) -> tuple[str, ...]:
        """A list of scalars, or one, which is split at blanks."""
        return self._listed(node, lambda value: tuple(value.split()))

    def overrides(self, node: Any) -> tuple[tuple[str, str], ...]:
        """`baseImageOverrides`."""
        return tuple((key.value.lower(), self.text(value)) for key, value in self.pairs(node))

    def builds(self, node: Any) -> tuple[KoBuild, ...]:
        """`builds`."""
        if not isinstance(node, yaml.SequenceNode):
            raise self._wrong(node, "a list")
        return tuple(
            KoBuild(**self.fields(entry, _BUILD), line=entry.start_mark.line + 1)
            for entry in node.value
        )

    def _listed(self, node: Any, single: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.text(item) for item in node.value)
        return single(self.text(node))

    def _wrong(self, node: Any, expected: str) -> KoPantsError:
        found = {yaml.ScalarNode: "a text", yaml.SequenceNode: "a list"}.get(
            type(node), "keys and values"
        )
        return KoPantsError(f"{self._where(node)}: expected {expected}, found {found}")

    def _where(self, node: Any) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"


def _is_null(node: Any) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _known(*pairs: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {name.lower(): (name, field) for name, field in pairs}


_TOP = _known(
    ("defaultBaseImage", "default_base_image"),
    ("baseImageOverrides", "base_image_overrides"),
    ("defaultPlatforms", "default_platforms"),
    ("defaultEnv", "default_env"),
    ("defaultFlags", "default_flags"),
    ("defaultLdflags", "default_ldflags"),
    ("builds", "builds"),
)
_BUILD = _known(
    ("id", "id"),
    ("dir", "directory"),
    ("main", "main"),
    ("env", "env"),
    ("flags", "flags"),
    ("ldflags", "ldflags"),
    ("linux_capabilities", "linux_capabilities"),
)
# The method of `_Reader` for each field.
_SHAPES = {
    "default_base_image": "text",
    "base_image_overrides": "overrides",
    "default_platforms": "words",
    "default_env": "words",
    "default_flags": "words",
    "default_ldflags": "words",
    "builds": "builds",
    "id": "text",
    "directory": "text",
    "main": "text",
    "env": "texts",
    "flags": "words",
    "ldflags": "texts",
    "linux_capabilities": "words",
}
