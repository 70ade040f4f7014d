"""What the fields `binary` and `binaries` mean: a main package to compile, or a prebuilt file."""

from __future__ import annotations

import dataclasses
import posixpath

from pants.engine.addresses import Address, UnparsedAddressInputs
from pants.engine.target import Target

from ko_pants.build_fields import GoExecutablePackageField
from ko_pants.engine import analyzed_directories, ko_yaml, targets_of, yielded_files
from ko_pants.environment_fields import GoExecutableEnvironmentField
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import parse_env_field
from ko_pants.products import (
    GoBuild,
    GoDirectoryRequest,
    KoYaml,
    KoYamlRequest,
    PrebuiltFile,
    YieldedFilesRequest,
)
from ko_pants.rules.program_defaults import with_defaults, with_ko_yaml
from ko_pants.rules.repo_files import existing_files
from ko_pants.target_types import (
    GoExecutableEnvField,
    GoExecutableFlagsField,
    GoExecutableLdflagsField,
    GoExecutableMainField,
    GoOciImageBinaryField,
)


def build_here(address: Address, found: KoYaml) -> GoBuild:
    """The main package in the directory of a BUILD file.

    :raises KoPantsError: see `with_defaults`.
    """
    return with_defaults(GoBuild(str(address), address.spec_path), found)


async def find_binary(binary: GoOciImageBinaryField) -> GoBuild | Target:
    """Follow the field: a main package to compile, or a target that yields an executable.

    Nothing is built for it.

    :raises KoPantsError: it names none or several targets, or a `go_executable` with a mistake.
    """
    if not binary.value:
        return build_here(binary.address, await ko_yaml(KoYamlRequest()))
    return await find_program(binary.value, binary.address, f"{binary.address}, field `binary`")


async def find_program(value: str, relative_to: Address, owner: str) -> GoBuild | Target:
    """What an address of a program names; see `find_binary`.

    :param owner: target and field, for errors.
    """
    target = await _one_target(value, relative_to, owner)
    if target.has_field(GoExecutableMainField):
        build = await executable_build(
            target.address,
            target[GoExecutableMainField],
            target[GoExecutableFlagsField],
            target[GoExecutableLdflagsField],
            target[GoExecutableEnvField],
            target[GoExecutablePackageField],
        )
        environment = target[GoExecutableEnvironmentField].value
        return dataclasses.replace(build, environment=environment) if environment else build
    main = next((f for f in target.field_values.values() if f.alias == "main"), None)
    if target.alias == "go_binary" and main is not None:
        directory = target.address.spec_path
        if isinstance(main.value, str):
            directory = (await _one_target(main.value, target.address, owner)).address.spec_path
        return await with_ko_yaml(GoBuild(f"{owner} ({target.address})", directory))
    return target


async def resolve_binary(
    binary: GoOciImageBinaryField,
) -> tuple[GoBuild | None, PrebuiltFile | None]:
    """Follow the field: one of the two is returned, the other is None.

    :raises KoPantsError: it names a target that yields no executable, or more than one file.
    """
    found = await find_binary(binary)
    if isinstance(found, GoBuild):
        return found, None
    return None, await _prebuilt(found, f"{binary.address}, field `binary`")


async def resolve_program(
    value: str, relative_to: Address, owner: str
) -> tuple[GoBuild | None, PrebuiltFile | None]:
    """What an address of a program names; see `resolve_binary`.

    :param owner: target and field, for errors.
    """
    found = await find_program(value, relative_to, owner)
    if isinstance(found, GoBuild):
        return found, None
    return None, await _prebuilt(found, owner)


async def executable_build(
    address: Address,
    main_field: GoExecutableMainField,
    flags_field: GoExecutableFlagsField,
    ldflags_field: GoExecutableLdflagsField,
    env_field: GoExecutableEnvField,
    package_field: GoExecutablePackageField,
) -> GoBuild:
    """How a `go_executable` is to be compiled.

    As in ko, `main` may also name a Go file; its whole package is compiled.

    :raises KoPantsError: `main` is no directory of the repo.
    """
    build = build_of_fields(
        address, main_field, flags_field, ldflags_field, env_field, package_field
    )
    if build.package:
        return await with_ko_yaml(build)
    main = main_field.value or "."
    is_file = main.endswith(".go")
    if not is_file and not _may_be_import_path(main):
        return await with_ko_yaml(build)
    (analyzed,) = await analyzed_directories([GoDirectoryRequest(build.directory)])
    if analyzed.directory.files:
        return await with_ko_yaml(build)
    if is_file and await existing_files([build.directory]):
        package = posixpath.dirname(build.directory)
        return await with_ko_yaml(dataclasses.replace(build, directory=package))
    raise KoPantsError(
        f"{build.owner}, field `main`: expected the directory of a main package relative to the "
        f"BUILD file, for example `cmd/server`; found {main!r}, which is "
        + ("no file" if is_file else "no directory with Go files (import paths are not taken)")
    )


def _may_be_import_path(main: str) -> bool:
    first = main.partition("/")[0]
    return "." in first and first not in (".", "..")


def build_of_fields(
    address: Address,
    main_field: GoExecutableMainField,
    flags_field: GoExecutableFlagsField,
    ldflags_field: GoExecutableLdflagsField,
    env_field: GoExecutableEnvField,
    package_field: GoExecutablePackageField,
) -> GoBuild:
    """What the fields of a `go_executable` say, without a look at the repo.

    The fields have checked their values.
    """
    owner = str(address)
    directory = posixpath.normpath(posixpath.join(address.spec_path, main_field.value or "."))
    return GoBuild(
        owner,
        "" if directory == "." else directory,
        flags_field.value or (),
        ldflags_field.value or (),
        parse_env_field(env_field.value or (), where=f"{owner}, field `env`"),
        package=package_field.value or "",
    )


async def _one_target(value: str, relative_to: Address, owner: str) -> Target:
    targets = await targets_of(
        UnparsedAddressInputs(
            [value], owning_address=relative_to, description_of_origin=f"the {owner}"
        )
    )
    if len(targets) != 1:
        raise KoPantsError(f"{owner}: expected one target, found {len(targets)} in {value!r}")
    return targets[0]


async def _prebuilt(target: Target, owner: str) -> PrebuiltFile:
    (found,) = await yielded_files([YieldedFilesRequest(target.address, owner)])
    paths = [path for path, _ in found.files]
    if len(paths) != 1:
        some = ", ".join(paths[:3]) + (", ..." if len(paths) > 3 else "")
        raise KoPantsError(
            f"{owner}: {target.address} has {len(paths)} files; expected one executable; "
            f"found {some}"
        )
    return PrebuiltFile(owner, paths[0], found.digest)
