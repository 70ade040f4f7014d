"""From an `oci_files` target to the content of its layer: which files, and where they go."""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Iterable

from pants.base.build_root import BuildRoot
from pants.engine.addresses import UnparsedAddressInputs
from pants.engine.fs import EMPTY_DIGEST, CreateDigest, FileEntry
from pants.engine.rules import rule
from pants.engine.target import Targets
from pants.util.logging import LogLevel

from ko_pants.disk.disk import Disk, Kind
from ko_pants.engine import create_digest, digest_entries, targets_of, yielded_files
from ko_pants.errors import KoPantsError
from ko_pants.files_fields import GoOciImageFilesField, OciFilesSourcesField, OciFilesTargetsField
from ko_pants.layer_contents import TreeContent
from ko_pants.layers.placement import directories_of, join_place
from ko_pants.products import PackedFiles, YieldedFilesRequest
from ko_pants.rules.repo_files import digest_of_sources, matching_files
from ko_pants.rules.yielded_files import check_source
from ko_pants.target_types import OciFilesFieldSet

# The name of the tree in its digest. Equal trees are one layer, whichever target has them.
_ROOT = "files"
_FILE_MODE = 0o644
_EXECUTABLE_MODE = 0o755
_DIRECTORY_MODE = 0o755


async def targets_of_field(field: GoOciImageFilesField | OciFilesTargetsField) -> Targets:
    """The targets that a list of addresses names; a generator stands for what it generates."""
    if not field.value:
        return Targets()
    return await targets_of(
        UnparsedAddressInputs(
            field.value,
            owning_address=field.address,
            description_of_origin=f"the field `{field.alias}` of {field.address}",
        )
    )


async def _own_sources(field: OciFilesSourcesField, root: str) -> dict[str, FileEntry]:
    """The files of the field `sources`, by their path relative to the BUILD file.

    :raises KoPantsError: a glob matches nothing, or they all exclude each other.
    """
    globs = field.value or ()
    if not globs:
        return {}
    directory = field.address.spec_path
    where = f"{field.address}, field `{field.alias}`"
    for glob in globs:
        if glob.startswith("!") or await matching_files({directory: [glob]}):
            continue
        path = posixpath.join(directory, glob)
        disk = Disk(root)
        if disk.kind(path) is not Kind.DIRECTORY:
            await check_source(path, where, disk)
        raise KoPantsError(
            f"{where}: no file matches {glob!r} in {directory or 'the build root'}; expected a "
            "file, or a glob such as 'config/**' for all files below a directory"
        )
    digest = await digest_of_sources(directory, globs)
    prefix = f"{directory}/" if directory else ""
    found = {
        entry.path[len(prefix) :]: entry
        for entry in await digest_entries(digest)
        if isinstance(entry, FileEntry)
    }
    if not found:
        raise KoPantsError(f"{where}: no file is left by {', '.join(map(repr, globs))}")
    return found


async def _yielded(field: OciFilesTargetsField) -> list[tuple[str, str, FileEntry]]:
    """The target, the path and the entry of every file of the field `targets`.

    A package has its file name as its path. Sources have their path relative to the BUILD file of
    their target if they are below it, and else relative to the build root.
    """
    found = []
    owner = f"{field.address}, field `{field.alias}`"
    addresses = [target.address for target in await targets_of_field(field)]
    yielded = await yielded_files(YieldedFilesRequest(a, owner) for a in addresses)
    for address, files in zip(addresses, yielded):
        for path, entry in files.files:
            if files.packages is None:
                prefix = f"{address.spec_path}/"
            else:
                package = next((p for p in files.packages if f"{path}/".startswith(f"{p}/")), "")
                prefix = f"{posixpath.dirname(package)}/"
            place = path[len(prefix) :] if path.startswith(prefix) else path
            found.append((str(address), place, entry))
    return found


def _placed(
    field_set: OciFilesFieldSet, files: Iterable[tuple[str, str, FileEntry]]
) -> dict[str, FileEntry]:
    """Each file by its path below `at`, after `strip_prefix` and `rename`.

    :raises KoPantsError: two files have one path, or a field names what is not there.
    """
    owner = str(field_set.address)
    renames = field_set.rename.renames
    prefix = field_set.strip_prefix.value
    placed: dict[str, FileEntry] = {}
    origins: dict[str, str] = {}
    unused = set(renames)
    for origin, path, entry in files:
        if prefix:
            if not path.startswith(f"{prefix}/"):
                raise KoPantsError(
                    f"{owner}, field `strip_prefix`: {path} (of {origin}) is not below {prefix!r}"
                )
            path = path[len(prefix) + 1 :]
        unused.discard(path)
        place = renames.get(path, path)
        known = placed.get(place)
        if known is not None and (known.file_digest, known.is_executable) != (
            entry.file_digest,
            entry.is_executable,
        ):
            raise KoPantsError(
                f"{owner}: two files at {join_place(field_set.at.value, place)}: {known.path} (of "
                f"{origins[place]}) and {entry.path} (of {origin}); give one of them another path "
                "with `rename`, or a target of its own"
            )
        placed[place], origins[place] = entry, origin
    if unused:
        raise KoPantsError(
            f"{owner}, field `rename`: there is no file {sorted(unused)[0]!r}; found "
            + (", ".join(sorted(placed)[:5]) or "none")
        )
    return placed


def _content(field_set: OciFilesFieldSet) -> TreeContent:
    """The content without its files: place, modes, owner."""
    mode, directory_mode = field_set.mode.mode, field_set.directory_mode.mode
    ids = field_set.owner.ids
    uid, gid = ids or (0, 0)
    return TreeContent(
        "files",
        root=_ROOT,
        at=field_set.at.value,
        file_mode=_FILE_MODE if mode is None else mode,
        executable_mode=_EXECUTABLE_MODE if mode is None else mode,
        directory_mode=_DIRECTORY_MODE if directory_mode is None else directory_mode,
        uid=uid,
        gid=gid,
        directories="none" if ids is None and directory_mode is None else "tree",
    )


@rule(desc="Collect files of image", level=LogLevel.DEBUG)
async def pack_files(field_set: OciFilesFieldSet, build_root: BuildRoot) -> PackedFiles:
    """The files of an `oci_files`, at their places.

    :raises KoPantsError: a source or target yields nothing, two files are at one path, or a field
        names what is not there. The text names the target and the field.
    """
    owner = str(field_set.address)
    own = await _own_sources(field_set.sources, build_root.path)
    others = await _yielded(field_set.targets)
    placed = _placed(field_set, [*((owner, path, entry) for path, entry in own.items()), *others])
    at = field_set.at.value
    paths = frozenset(join_place(at, path) for path in placed)
    directories = directories_of(paths)
    both = sorted(paths & directories)
    if both:
        raise KoPantsError(f"{owner}: {both[0]} is a file, and a directory with files in it")
    digest = EMPTY_DIGEST
    if placed:
        digest = await create_digest(
            CreateDigest(
                FileEntry(f"{_ROOT}/{path}", entry.file_digest, entry.is_executable)
                for path, entry in sorted(placed.items())
            )
        )
    content = dataclasses.replace(_content(field_set), digest=digest)
    return PackedFiles(owner, content, paths, directories)
