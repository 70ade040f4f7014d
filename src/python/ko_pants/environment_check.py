"""Whether this Pants, with the packages beside it, can run the backend at all."""

from __future__ import annotations

import importlib.util
import platform
from typing import Callable, Optional

#: The oldest Pants whose engine API the backend speaks.
OLDEST_PANTS = (2, 17)

#: What the backend imports beside Pants: module, and the distribution that has it.
REQUIRED = {
    "requests": "requests",
    "yaml": "PyYAML",
    "deflate": "deflate",
    "zstandard": "zstandard",
}


def environment_problem(pants_version: str, find: Callable[[str], object]) -> Optional[str]:
    """What is wrong, in one line with the way out; None if nothing is.

    :param pants_version: such as `2.17.1` or `2.33.0.dev4`.
    :param find: gives None for a module that is not installed.
    """
    major, minor = pants_version.split(".")[:2]
    if (int(major), int(minor)) < OLDEST_PANTS:
        oldest = "{}.{}".format(*OLDEST_PANTS)
        return (
            f"the backend ko_pants runs in Pants {oldest} and newer, and this is Pants "
            f"{pants_version}; set [GLOBAL].pants_version to a newer one"
        )
    missing = [name for module, name in REQUIRED.items() if find(module) is None]
    if missing:
        return (
            f"the backend ko_pants needs {', '.join(missing)}, which the environment of Pants "
            f"(CPython {platform.python_version()}) lacks; name `ko-pants` in [GLOBAL].plugins, or "
            "install it there with pip. If there is no wheel for this CPython, take a Pants that "
            "runs on another one"
        )
    return None


def check_environment() -> None:
    """Called before anything else of the backend is imported, which may not import.

    :raises BackendConfigurationError: this Pants cannot run the backend.
    """
    from pants.base.exceptions import BackendConfigurationError
    from pants.version import VERSION

    problem = environment_problem(VERSION, installed)
    if problem:
        raise BackendConfigurationError(problem)


def installed(module: str) -> object:
    """A module's spec; None if it is not installed. It is not imported."""
    return importlib.util.find_spec(module)
