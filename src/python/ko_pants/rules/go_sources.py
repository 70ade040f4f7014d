"""What `go_sources` generates: targets that own the files of Go packages."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Sequence

from pants.engine.addresses import Address
from pants.engine.internals.native_engine import BANNED_CHARS_IN_GENERATED_NAME, IntrinsicError
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    GeneratedTargets,
    GenerateTargetsRequest,
    SourcesPaths,
    SourcesPathsRequest,
    Target,
)
from pants.engine.unions import UnionMembership, UnionRule

from ko_pants.engine import embedding_packages, source_paths
from ko_pants.errors import KoPantsError
from ko_pants.go_sources_fields import (
    GoPackageSourcesField,
    GoSourcesTargetUnitField,
    TargetUnit,
)
from ko_pants.golang.source_groups import EmbeddingPackages, SourceGroup, SourceGrouping
from ko_pants.products import EmbeddingPackagesRequest
from ko_pants.rules.repo_files import matching_files
from ko_pants.target_types import (
    GoPackageSourcesTarget,
    GoSourceField,
    GoSourcesField,
    GoSourcesTarget,
    GoSourceTarget,
)


class GenerateGoSources(GenerateTargetsRequest[GoSourcesTarget]):
    generate_from = GoSourcesTarget


def _cannot_walk(generator: Target, what: str, error: IntrinsicError) -> KoPantsError:
    """Pants follows every link, and takes no absolute one and none that leads back to itself."""
    return KoPantsError(
        f"{generator.address}, field `sources`: Pants cannot look for {what}: {error}. If it "
        "is a symbolic link, make it a relative one that stays in the repository, or have "
        "Pants ignore it: add its path to [GLOBAL].pants_ignore in pants.toml, for example "
        'pants_ignore.add = ["/path/of/the/link"]'
    )


async def _matching_sources(generator: Target) -> SourcesPaths:
    """The files that the globs of a generator match.

    :raises KoPantsError: Pants cannot walk the tree.
    """
    try:
        return await source_paths(SourcesPathsRequest(generator[GoSourcesField]))
    except IntrinsicError as e:
        raise _cannot_walk(generator, "files there", e) from None


async def _embedded_sources(generator: Target, packages: EmbeddingPackages) -> list[str]:
    """The files that packages embed, as far as Pants sees them.

    :raises KoPantsError: Pants cannot walk a directory that a package embeds.
    """
    globs = packages.globs()
    if not globs:
        return []
    try:
        found = await matching_files(globs)
    except IntrinsicError as e:
        raise _cannot_walk(generator, "the files that its packages embed", e) from None
    return [path for path in found if packages.has_embedded(path)]


# The characters that Pants refuses in the name of a target that is generated.
_NO_NAME = frozenset(BANNED_CHARS_IN_GENERATED_NAME)
# The name of the tests of all packages. A directory of that name has targets of its files.
_TESTS = "_test.go"


@dataclass(frozen=True)
class _Targets:
    """Makes targets for files and groups of files.

    :param root: the directory of the generator's BUILD file.
    :param template: values of fields that each target has.
    :param template_address: the generator's, for the addresses of the targets.
    """

    root: str
    template: Mapping[str, Any]
    template_address: Address
    union_membership: UnionMembership

    def _relative(self, path: str) -> str:
        return path[len(self.root) + 1 :] if self.root else path

    def of_file(self, path: str) -> Target:
        """The `go_source` of a file."""
        name = self._relative(path)
        return GoSourceTarget(
            {**self.template, GoSourceField.alias: name},
            self.template_address.create_file(name),
            self.union_membership,
            residence_dir=posixpath.dirname(path),
        )

    def of_group(self, group: SourceGroup, paths: Sequence[str]) -> Iterator[Target]:
        """The `go_package_sources` of a group, or targets of its files if it cannot have a name."""
        directory = self._relative(group.directory)
        name = _TESTS if group.tests else directory or "."
        if not _NO_NAME.isdisjoint(name) or directory == _TESTS:
            yield from map(self.of_file, paths)
            return
        yield GoPackageSourcesTarget(
            {
                **self.template,
                GoPackageSourcesField.alias: tuple(map(self._relative, paths)),
            },
            self.template_address.create_generated(name),
            self.union_membership,
            residence_dir=group.directory,
        )

    def of_groups(self, files: Iterable[str], grouping: SourceGrouping) -> Iterator[Target]:
        """One target for each group; files that stand alone have theirs."""
        groups: dict[SourceGroup, list[str]] = {}
        for path in files:
            group = grouping.group_of(path)
            if group is None:
                yield self.of_file(path)
            else:
                groups.setdefault(group, []).append(path)
        for group, paths in groups.items():
            yield from self.of_group(group, paths)


@rule
async def generate_go_sources(
    request: GenerateGoSources, union_membership: UnionMembership
) -> GeneratedTargets:
    """Targets for the files that the field's globs match or that such a Go file embeds."""
    generator = request.generator
    matched = (await _matching_sources(generator)).files
    directories = {posixpath.dirname(path) for path in matched if path.endswith(".go")}
    packages = await embedding_packages(EmbeddingPackagesRequest(tuple(sorted(directories))))
    files = sorted({*matched, *await _embedded_sources(generator, packages)})
    targets = _Targets(
        generator.address.spec_path, request.template, request.template_address, union_membership
    )
    unit = generator[GoSourcesTargetUnitField].unit
    if unit is TargetUnit.FILE:
        return GeneratedTargets(generator, map(targets.of_file, files))
    grouping = SourceGrouping(
        frozenset(matched),
        packages,
        generator.address.spec_path,
        by_program=unit is TargetUnit.PROGRAM,
    )
    return GeneratedTargets(generator, targets.of_groups(files, grouping))


def rules() -> list[object]:
    """Generation, announced to the union of Pants that it belongs to."""
    return [*collect_rules(), UnionRule(GenerateTargetsRequest, GenerateGoSources)]
