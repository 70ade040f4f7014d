"""Placeholders in repositories and tags, such as `{name}`, `{import_path}` and `{pants.hash}`.

The names are those of Pants' docker backend, and three for what ko names images by. Pure functions.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Callable, Mapping

from ko_pants.errors import KoPantsError

_PART = re.compile(r"\{([^{}]*)\}|([{}])")

#: A value is only made where a template has its placeholder.
Values = Mapping[str, Callable[[], str]]


@dataclass(frozen=True)
class BuiltFacts:
    """What only the built image knows of its names.

    :param import_path: of its program; empty for a prebuilt executable, which has none.
    :param hash: hex digits that stand for what is in the image, however its layers are compressed.
    """

    import_path: str
    hash: str


#: Stands in for the facts of an image that is not built yet, so that its names can be checked.
EXAMPLE_FACTS = BuiltFacts("example.com/name", 64 * "0")

#: The placeholders whose values are known when the image is built.
PLACEHOLDERS_OF_BUILT = ("import_path", "base", "md5", "pants.hash")


def content_hash(config_digests: tuple[str, ...]) -> str:
    """The hash of an image: of the digests of its configs, one for each platform.

    A config has the diffIDs of the layers, so another compressor gives the same hash.
    """
    return hashlib.sha256("\n".join(config_digests).encode()).hexdigest()


def needs_built(template: str) -> bool:
    """True if the template has a placeholder whose value the built image gives."""
    return any(match[1] in PLACEHOLDERS_OF_BUILT for match in _PART.finditer(template))


def path_values(name: str, path: str) -> dict[str, Callable[[], str]]:
    """The placeholders of a target's address.

    :param name: the target's name.
    :param path: the directory of its BUILD file. The build root has no name: the target's name
        stands in.
    """
    directories = path.split("/") if path else [name]
    whole = path or name
    return {
        "name": lambda: name,
        "directory": lambda: directories[-1],
        "parent_directory": lambda: directories[-2] if len(directories) > 1 else "",
        "full_directory": lambda: whole,
        "path": lambda: whole,
    }


def built_values(target: str, facts: BuiltFacts) -> dict[str, Callable[[], str]]:
    """The placeholders of a built image.

    ko puts an import path into lower case before it does anything else with it, so the md5 is that
    of the path in lower case.
    """

    def import_path() -> str:
        if not facts.import_path:
            raise KoPantsError(
                f"{target}: its name has the import path of its program, and a prebuilt executable "
                "has none (field `binary`); give the target a `repository` without "
                "{import_path}, {base} and {md5}"
            )
        return facts.import_path.lower()

    return {
        "import_path": import_path,
        "base": lambda: posixpath.basename(import_path()),
        "md5": lambda: hashlib.md5(import_path().encode()).hexdigest(),
        "pants.hash": lambda: facts.hash,
    }


def fill(template: str, values: Values, where: str) -> str:
    """`template` with the values of its placeholders.

    :param where: names target and field, or option, in errors.
    :raises KoPantsError: a placeholder that does not exist, or a brace that belongs to none.
    """

    if "{{" in template:
        raise KoPantsError(
            f"{where}: {template!r} has double braces. Placeholders such as {{name}} have single "
            "ones; templates such as {{.Git.Tag}} are for the field `image_tags`"
        )

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            raise KoPantsError(
                f"{where}: {template!r} has a {match[2]!r} that belongs to no placeholder; "
                f"expected placeholders such as {{name}}{_hint(template)}"
            )
        if name not in values:
            raise KoPantsError(
                f"{where}: {template!r} has an unknown placeholder {{{name}}}; expected some of "
                + ", ".join(f"{{{known}}}" for known in values)
                + _hint(template)
            )
        return values[name]()

    return _PART.sub(value, template)


def _hint(template: str) -> str:
    if "{build_args." in template or "{tags." in template:
        return ". There is no Dockerfile, so there are no {build_args...} and no {tags...}"
    return ""
