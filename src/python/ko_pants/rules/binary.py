"""What a target's `binary` field means: a main package to compile, or a prebuilt file."""

from __future__ import annotations

import dataclasses
import posixpath

from pants.engine.addresses import Address, UnparsedAddressInputs
from pants.engine.target import (
    HydrateSourcesRequest,
    MultipleSourcesField,
    SingleSourceField,
    SourcesField,
    Target,
)

from ko_pants.disk.disk import Disk, Kind
from ko_pants.engine import analyzed_directories, hydrate_sources, targets_of
from ko_pants.errors import KoPantsError
from ko_pants.golang.build_environment import parse_env_field
from ko_pants.golang.build_flags import check_flags
from ko_pants.golang.templates import has_template
from ko_pants.products import GoBuild, GoDirectoryRequest, PrebuiltFile
from ko_pants.rules.repo_files import existing_files
from ko_pants.target_types import (
    GoExecutableEnvField,
    GoExecutableFlagsField,
    GoExecutableLdflagsField,
    GoExecutableMainField,
    GoOciImageBinaryField,
)


async def resolve_binary(
    binary: GoOciImageBinaryField, root: str
) -> tuple[GoBuild | None, PrebuiltFile | None]:
    """Follow the field: one of the two is returned, the other is None.

    :param root: the build root.
    :raises KoPantsError: it names a target that yields no executable.
    """
    if not binary.value:
        return GoBuild(str(binary.address), binary.address.spec_path), None
    owner = f"{binary.address}, field `binary`"
    target = await _one_target(binary.value, binary.address, owner)
    if target.has_field(GoExecutableMainField):
        build = await executable_build(
            target.address,
            target[GoExecutableMainField],
            target[GoExecutableFlagsField],
            target[GoExecutableLdflagsField],
            target[GoExecutableEnvField],
        )
        return build, None
    main = next((f for f in target.field_values.values() if f.alias == "main"), None)
    if target.alias == "go_binary" and main is not None:
        directory = target.address.spec_path
        if isinstance(main.value, str):
            directory = (await _one_target(main.value, target.address, owner)).address.spec_path
        return GoBuild(f"{owner} ({target.address})", directory), None
    return None, await _prebuilt(target, owner, Disk(root))


async def executable_build(
    address: Address,
    main_field: GoExecutableMainField,
    flags_field: GoExecutableFlagsField,
    ldflags_field: GoExecutableLdflagsField,
    env_field: GoExecutableEnvField,
) -> GoBuild:
    """How a `go_executable` is to be compiled.

    As in ko, `main` may also name a Go file; its whole package is compiled.

    :raises KoPantsError: `main` is no directory of the repo; a flag or variable that cannot be
        used.
    """
    build = build_of_fields(address, main_field, flags_field, ldflags_field, env_field)
    main = main_field.value or "."
    is_file = main.endswith(".go")
    if not is_file and not _may_be_import_path(main):
        return build
    (analyzed,) = await analyzed_directories([GoDirectoryRequest(build.directory)])
    if analyzed.directory.files:
        return build
    if is_file and await existing_files([build.directory]):
        return dataclasses.replace(build, directory=posixpath.dirname(build.directory))
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
) -> GoBuild:
    """What the fields of a `go_executable` say, without a look at the repo.

    :raises KoPantsError: a directory outside of the repo, a flag or variable that cannot be used.
    """
    owner = str(address)
    main = main_field.value or "."
    directory = posixpath.normpath(posixpath.join(address.spec_path, main))
    if main.startswith("/") or directory.startswith(".."):
        raise KoPantsError(
            f"{owner}, field `main`: expected a directory relative to the BUILD file, within the "
            f"build root; found {main!r}"
        )
    flags = flags_field.value or ()
    # What a template makes of them is checked when it is filled in.
    if not has_template(flags):
        check_flags(flags, where=f"{owner}, field `flags`")
    ldflags = " ".join(ldflags_field.value or ())
    if not has_template([ldflags]):
        check_flags([f"-ldflags={ldflags}"], where=f"{owner}, field `ldflags`")
    env = parse_env_field(env_field.value or (), where=f"{owner}, field `env`")
    return GoBuild(
        owner, "" if directory == "." else directory, flags, ldflags_field.value or (), env
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


async def _prebuilt(target: Target, owner: str, disk: Disk) -> PrebuiltFile:
    fields = [
        f
        for f in target.field_values.values()
        if isinstance(f, (SingleSourceField, MultipleSourcesField))
    ]
    if not fields:
        raise KoPantsError(
            f"{owner}: {target.address} is a `{target.alias}`, which yields no executable; "
            "expected a `go_executable`, a `go_binary`, or a `file` with a prebuilt executable"
        )
    field: SourcesField = fields[0]
    for path in _literal_sources(field):
        # First, for Pants has no good message for what it cannot read.
        await _check_source(path, f"{owner}: {target.address}", disk)
    sources = await hydrate_sources(HydrateSourcesRequest(field))
    files = sources.snapshot.files
    if len(files) != 1:
        raise KoPantsError(
            f"{owner}: {target.address} has {len(files)} files; expected one executable"
        )
    return PrebuiltFile(owner, files[0], sources.snapshot.digest)


def _literal_sources(field: SourcesField) -> list[str]:
    """The paths that a field names without a pattern."""
    if isinstance(field, SingleSourceField):
        return [field.file_path] if field.value else []
    named = [source for source in field.value or () if not set(source) & set("*?[!")]
    return [posixpath.join(field.address.spec_path, source) for source in named]


async def _check_source(path: str, where: str, disk: Disk) -> None:
    """Make sure that Pants can read a file; one that does not exist it reports itself.

    :raises KoPantsError: it is a bad link or no file, or Pants ignores it.
    """
    kind = disk.kind(path)
    if kind is None:
        return
    try:
        kind = disk.kind(disk.resolve(path))
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None
    if kind is not Kind.FILE:
        raise KoPantsError(f"{where}: {path} is not a file; expected an executable")
    if not await existing_files([path]):
        raise KoPantsError(
            f"{where}: {path} is there, but Pants ignores it (by .gitignore or by the option "
            f"[GLOBAL].pants_ignore); add '!/{path}' to pants_ignore"
        )
