"""The file `.ko.yaml`: where it is, and what it says."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import Mapping

from pants.base.build_root import BuildRoot
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.rules import rule

from ko_pants.engine import digest_contents, environment_vars
from ko_pants.errors import KoPantsError
from ko_pants.ko_yaml.configuration import KoConfiguration, parse_configuration
from ko_pants.products import KoYaml, KoYamlRequest
from ko_pants.rules.repo_files import digest_of_files, how_to_unignore
from ko_pants.subsystem import KoSubsystem

logger = logging.getLogger(__name__)

NAME = ".ko.yaml"

# ko reads each key from the environment, too, before the file. It splits the value at blanks.
_KO_YAML_VARIABLES = (
    "KO_CONFIG_PATH",
    "KO_DEFAULTENV",
    "KO_DEFAULTFLAGS",
    "KO_DEFAULTLDFLAGS",
)


def _path(value: str, source: str, root: str) -> str:
    """The file that an option or variable names, relative to the build root; as in ko.

    :raises KoPantsError: it does not exist, or is outside of the repository.
    """
    full = os.path.join(root, value)
    if os.path.isdir(full):
        full = os.path.join(full, NAME)
    path = os.path.relpath(os.path.realpath(full), os.path.realpath(root))
    if path.startswith(".."):
        raise KoPantsError(
            f"{source} is {value!r}; expected a file or directory within the build root, so that "
            "the file is the same for everybody who has the repository"
        )
    if not os.path.isfile(full):
        raise KoPantsError(
            f"{source} is {value!r}; expected a file, or a directory with a {NAME}; found neither"
        )
    return path


async def _content(path: str, root: str) -> bytes | None:
    """The content of the file; None if there is none.

    :raises KoPantsError: it is there, and Pants does not see it.
    """
    files = await digest_contents(await digest_of_files([path]))
    if files:
        return files[0].content
    if os.path.lexists(os.path.join(root, path)):
        raise KoPantsError(
            f"{path} is there, but Pants does not see it (by .gitignore, by the option "
            "[GLOBAL].pants_ignore, or because it is no file); add to [GLOBAL] in pants.toml: "
            f'{await how_to_unignore(path)}, or set the option [ko].config_path to "" if it is '
            "not meant"
        )
    return None


@rule
async def read_ko_yaml(request: KoYamlRequest, ko: KoSubsystem, build_root: BuildRoot) -> KoYaml:
    """The file that `[ko].config_path`, `$KO_CONFIG_PATH` or its name finds.

    :raises KoPantsError: it cannot be read.
    """
    env = await environment_vars(EnvironmentVarsRequest(_KO_YAML_VARIABLES))
    path = NAME
    if ko.config_path is not None:
        path = ko.config_path
        path = path and _path(path, "option [ko].config_path", build_root.path)
    elif env.get("KO_CONFIG_PATH"):
        path = _path(env["KO_CONFIG_PATH"], "$KO_CONFIG_PATH", build_root.path)
    content = await _content(path, build_root.path) if path else None
    configuration = KoConfiguration() if content is None else parse_configuration(content, path)
    for line in configuration.ignored:
        logger.warning(line)
    return KoYaml(path if content is not None else "", _with_variables(configuration, env))


def _with_variables(configuration: KoConfiguration, env: Mapping[str, str]) -> KoConfiguration:
    def words(name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(env.get(name, "").split()) or default

    return dataclasses.replace(
        configuration,
        default_env=words("KO_DEFAULTENV", configuration.default_env),
        default_flags=words("KO_DEFAULTFLAGS", configuration.default_flags),
        default_ldflags=words("KO_DEFAULTLDFLAGS", configuration.default_ldflags),
        ignored=(),
    )
