"""BUILD files of Bazel, which vendored Go modules bring along: an error that says what to do.

Pants reads every file BUILD and BUILD.* of the repo as its own. On one of Bazel's it would only say
`Name 'load' is not defined`. So the functions that such files begin with are defined here, and
refuse.
"""

from __future__ import annotations

from typing import Callable

from ko_pants.errors import KoPantsError

# Functions of Bazel's BUILD files that Pants does not have. A rule of Bazel comes after a `load`.
_FUNCTIONS = ("load", "package", "licenses", "exports_files")


def _refusal(name: str) -> Callable[..., None]:
    def refuse(*args: object, **kwargs: object) -> None:
        """Not a function of Pants: a BUILD file of Bazel is refused."""
        raise KoPantsError(
            f"`{name}` is a function of Bazel, so this is no BUILD file of Pants. Have Pants "
            "ignore it: name its directory in [GLOBAL].build_ignore in pants.toml, for example "
            'build_ignore = ["vendor"]; Go files in it are still found'
        )

    return refuse


def refusing_functions() -> dict[str, Callable[..., None]]:
    """What a BUILD file of Bazel calls first, by name.

    Each raises `KoPantsError`; Pants puts the path of the file before the text.
    """
    return {name: _refusal(name) for name in _FUNCTIONS}
