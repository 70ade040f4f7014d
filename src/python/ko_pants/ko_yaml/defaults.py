"""What a `.ko.yaml` says of one program.

The order is ko's, field by field (`configForImportPath` and `buildOne` in `gobuild.go`): what the
entry of the program in `builds` says, else the default of all programs. What a target says comes
before both.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from ko_pants.ko_yaml.configuration import KoBuild, KoConfiguration


@dataclass(frozen=True)
class ProgramDefaults:
    """What a program gets where its target says nothing.

    :param origin: file, and the entry that is meant, for messages.
    """

    origin: str
    flags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    linux_capabilities: tuple[str, ...] = ()


def main_directory(build: KoBuild, directory: str) -> str:
    """The directory of an entry's main package, relative to the build root.

    A Go file stands for its directory, as in ko.

    :param directory: that of the configuration.
    """
    main = build.main
    if main.endswith(".go"):
        main = posixpath.dirname(main)
    path = posixpath.normpath(posixpath.join(directory, build.directory, main or "."))
    return "" if path == "." else path


def program_defaults(
    configuration: KoConfiguration, path: str, directory: str
) -> ProgramDefaults | None:
    """What the configuration says of the program in `directory`; None if it says nothing.

    :param path: of the configuration. Of two entries for one program the last counts, as in ko.
    """
    here = posixpath.dirname(path)
    build = KoBuild()
    for entry in configuration.builds:
        if main_directory(entry, here) == directory:
            build = entry
    found = ProgramDefaults(
        f"{path}:{build.line}" if build.line else path,
        build.flags or configuration.default_flags,
        build.ldflags or configuration.default_ldflags,
        build.env or configuration.default_env,
        build.linux_capabilities,
    )
    return found if any((found.flags, found.ldflags, found.env, build.line)) else None


def base_of(configuration: KoConfiguration, import_path: str) -> str:
    """The base image that `baseImageOverrides` has for a program; empty if it has none.

    Import paths have no case there, because viper puts the keys of a file into lower case.
    """
    return dict(configuration.base_image_overrides).get(import_path.lower(), "")
