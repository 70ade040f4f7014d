"""What `.ko.yaml` gives a program whose target leaves it open."""

from __future__ import annotations

import dataclasses
from typing import Sequence

from ko_pants.engine import ko_yaml
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import parse_env_field
from ko_pants.golang.build_flags import check_flags
from ko_pants.golang.templates import has_template, template_keys
from ko_pants.ko_yaml.defaults import ProgramDefaults, program_defaults
from ko_pants.layers.capabilities import capabilities_xattr
from ko_pants.products import GoBuild, KoYaml, KoYamlRequest


async def defaults_of_program(directory: str) -> ProgramDefaults | None:
    """What `.ko.yaml` says of the main package in a directory; None if it says nothing."""
    return _defaults(await ko_yaml(KoYamlRequest()), directory)


def _defaults(found: KoYaml, directory: str) -> ProgramDefaults | None:
    return program_defaults(found.configuration, found.path or "environment", directory)


async def with_ko_yaml(build: GoBuild) -> GoBuild:
    """The build, with what `.ko.yaml` says where the target says nothing.

    :raises KoPantsError: see `with_defaults`.
    """
    return with_defaults(build, await ko_yaml(KoYamlRequest()))


def with_defaults(build: GoBuild, found: KoYaml) -> GoBuild:
    """The same, for somebody who has the file.

    :raises KoPantsError: a flag or a variable of the file cannot be used; the text names its line.
    """
    defaults = _defaults(found, build.package or build.directory)
    if defaults is None:
        return build
    where = f"{build.owner}: {defaults.origin}"
    flags, ldflags, env = build.flags, build.ldflags, build.env
    if not flags:
        flags = defaults.flags
        _check_flags(flags, f"{where}, `flags`")
    if not ldflags:
        ldflags = defaults.ldflags
        _check_flags([f"-ldflags={' '.join(ldflags)}"], f"{where}, `ldflags`")
    if not env:
        env = _checked_env(defaults.env, f"{where}, `env`")
    return dataclasses.replace(build, flags=flags, ldflags=ldflags, env=env)


def _check_flags(flags: Sequence[str], where: str) -> None:
    # What a template makes of them is checked when it is filled in.
    if not has_template(flags):
        check_flags(flags, where=where)
        return
    try:
        template_keys(flags)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


def _checked_env(entries: Sequence[str], where: str) -> tuple[tuple[str, str], ...]:
    # Many files of ko say it, and it is so here.
    wanted = [entry for entry in entries if entry != "CGO_ENABLED=0"]
    try:
        template_keys(wanted)
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
    return parse_env_field(wanted, where=where)


async def capabilities_of_program(owner: str, directory: str) -> bytes:
    """The attribute `security.capability` that `.ko.yaml` gives a program; empty for none.

    :raises KoPantsError: it is malformed; the text names its line.
    """
    defaults = await defaults_of_program(directory)
    if defaults is None or not defaults.linux_capabilities:
        return b""
    try:
        return capabilities_xattr(defaults.linux_capabilities)
    except KoPantsError as e:
        raise KoPantsError(f"{owner}: {defaults.origin}, `linux_capabilities`: {e}") from None
