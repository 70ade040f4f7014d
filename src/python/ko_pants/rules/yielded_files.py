"""The files that a target yields: what it packages, or else its sources, generated ones too."""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Iterator, Mapping

from pants.base.build_root import BuildRoot
from pants.core.goals.package import EnvironmentAwarePackageRequest, PackageFieldSet
from pants.core.target_types import FileSourceField, ResourceSourceField
from pants.engine.addresses import Addresses
from pants.engine.fs import Digest, FileEntry, SymlinkEntry
from pants.engine.rules import rule
from pants.engine.target import (
    FieldSetsPerTargetRequest,
    HydrateSourcesRequest,
    MultipleSourcesField,
    SingleSourceField,
    SourcesField,
    Target,
)
from pants.util.logging import LogLevel

from ko_pants.disk.disk import Disk, Kind
from ko_pants.engine import (
    built_package,
    digest_entries,
    field_sets_per_target,
    hydrate_sources,
    targets_at,
)
from ko_pants.errors import KoPantsError
from ko_pants.products import YieldedFiles, YieldedFilesRequest
from ko_pants.rules.repo_files import existing_files, how_to_unignore
from ko_pants.target_types import GoOciImageBinaryField


async def _sources(target: Target, where: str, root: str) -> Digest:
    field = next(
        (
            field
            for field in target.field_values.values()
            if isinstance(field, (SingleSourceField, MultipleSourcesField))
        ),
        None,
    )
    if field is None:
        raise KoPantsError(
            f"{where} is a `{target.alias}`, which yields no executable and no other file: "
            "`package` makes nothing of it, and it has no sources; expected a `go_executable`, or "
            "a target with sources or a package, such as `file`"
        )
    for path in _literal_sources(field):
        # First, for Pants has no good message for what it cannot read.
        await check_source(path, where, Disk(root))
    hydrated = await hydrate_sources(
        HydrateSourcesRequest(
            field,
            for_sources_types=(FileSourceField, ResourceSourceField, type(field)),
            enable_codegen=True,
        )
    )
    return hydrated.snapshot.digest


def _literal_sources(field: SourcesField) -> list[str]:
    """The paths that a field names without a pattern."""
    if isinstance(field, SingleSourceField):
        return [field.file_path] if field.value else []
    named = [source for source in field.value or () if not set(source) & set("*?[!")]
    return [posixpath.join(field.address.spec_path, source) for source in named]


async def check_source(path: str, where: str, disk: Disk) -> None:
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
        raise KoPantsError(f"{where}: {path} is not a file; expected one")
    if not await existing_files([path]):
        raise KoPantsError(
            f"{where}: {path} is there, but Pants ignores it (by .gitignore or by the option "
            f"[GLOBAL].pants_ignore); add to [GLOBAL] in pants.toml: {await how_to_unignore(path)}"
        )


def follow_links(
    files: Mapping[str, FileEntry], links: Mapping[str, str], where: str
) -> dict[str, FileEntry]:
    """The files, and in the place of each link what it leads to.

    :raises KoPantsError: a link leads nowhere, out of the digest, or back to what contains it.
    """

    def real(path: str, above: tuple[str, ...] = ()) -> str:
        done = ""
        for part in path.split("/"):
            if part == "..":
                raise KoPantsError(f"{where}: the link {above[0]} leads out of what it yields")
            done = posixpath.join(done, part)
            target = links.get(done)
            if target is None:
                continue
            if done in above:
                raise KoPantsError(f"{where}: the link {above[0]} leads back to itself")
            if target.startswith("/"):
                raise KoPantsError(
                    f"{where}: the link {done} leads to {target}; expected a relative link within "
                    "what the target yields"
                )
            joined = posixpath.normpath(posixpath.join(posixpath.dirname(done), target))
            done = real(joined, (*above, done)) if joined != "." else ""
        return done

    def expand(path: str, to: str, above: tuple[str, ...]) -> Iterator[tuple[str, FileEntry]]:
        if to in files:
            yield path, files[to]
            return
        if to in above:
            raise KoPantsError(f"{where}: the link {path} leads back to a directory with it")
        inside = [p for p in (*files, *links) if not to or p.startswith(f"{to}/")]
        if not inside:
            raise KoPantsError(f"{where}: the link {path} leads to {to}, which is not there")
        for child in inside:
            place = posixpath.join(path, child[len(to) :].lstrip("/"))
            if child in files:
                yield place, files[child]
            else:
                yield from expand(place, real(child), (*above, to))

    found = dict(files)
    for link in links:
        parents = tuple(p for p in _parents(link))
        for place, entry in expand(link, real(link), parents):
            found[place] = dataclasses.replace(entry, path=place)
    return found


def _parents(path: str) -> Iterator[str]:
    while path:
        path = posixpath.dirname(path)
        yield path


@rule(desc="Find files of target", level=LogLevel.DEBUG)
async def find_yielded_files(request: YieldedFilesRequest, build_root: BuildRoot) -> YieldedFiles:
    """What a target packages, or else its sources.

    :raises KoPantsError: it yields no file, one that Pants cannot read, or a link that leads
        nowhere or out of what it yields.
    """
    packages = None
    (target,) = await targets_at(Addresses([request.address]))
    where = f"{request.owner}: {target.address}"
    if target.has_field(GoOciImageBinaryField):
        raise KoPantsError(
            f"{where} is a `{target.alias}`, which yields no executable and no other file for an "
            "image"
        )
    found = await field_sets_per_target(FieldSetsPerTargetRequest(PackageFieldSet, [target]))
    if found.field_sets:
        package = await built_package(EnvironmentAwarePackageRequest(found.field_sets[0]))
        digest = package.digest
        packages = tuple(a.relpath for a in package.artifacts if a.relpath)
    else:
        digest = await _sources(target, where, build_root.path)
    entries = await digest_entries(digest)
    files = {e.path: e for e in entries if isinstance(e, FileEntry)}
    links = {e.path: e.target for e in entries if isinstance(e, SymlinkEntry)}
    if links:
        files = follow_links(files, links, where)
    if not files:
        what = "has no files" if packages is None else "packages no file"
        raise KoPantsError(f"{where}, a `{target.alias}`, {what}")
    return YieldedFiles(digest, tuple(sorted(files.items())), packages)
