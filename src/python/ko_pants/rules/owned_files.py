"""What targets own: the files of a repo by path, found once for all images.

Pants' own answer (`OwnersRequest`) compares each file with each target that is generated at or
above it. Asked for each image of a repo whose root owns all Go files, that is images x files x
files. Here the targets are looked through once, and an image looks its files up by path.

The answer is that of `OwnersRequest` for files that exist.
"""

from __future__ import annotations

from typing import Any, Iterator

from pants.base.specs import (
    AddressLiteralSpec,
    RawSpecsWithoutFileOwners,
    RecursiveGlobSpec,
)
from pants.engine.addresses import Address
from pants.engine.rules import rule
from pants.engine.target import SourcesField, Target

from ko_pants.engine import address_families, targets_of_specs
from ko_pants.go_sources_fields import GoPackageSourcesField
from ko_pants.golang.repo_paths import join
from ko_pants.literal_globs import is_literal_glob
from ko_pants.products import (
    OwnedFiles,
    OwnedFilesRequest,
    OwnerDirectories,
    OwnerDirectoriesRequest,
    SourcesPattern,
)
from ko_pants.target_types import GoSourceField, target_types

_ORIGIN = "the dependencies of images"
# Targets that own no file: an image's directory has nothing else in most repos.
_WITHOUT_SOURCES = frozenset(
    target.alias
    for target in target_types()
    if not any(issubclass(field, SourcesField) for field in target.core_fields)
)


@rule
async def find_owner_directories(request: OwnerDirectoriesRequest) -> OwnerDirectories:
    """Look through all BUILD files for targets that may own files."""
    families = await address_families(
        RawSpecsWithoutFileOwners(
            description_of_origin=_ORIGIN,
            recursive_globs=(RecursiveGlobSpec(""),),
        )
    )
    found = {}
    for family in families:
        addresses = tuple(
            address
            for address, adaptor in family.addresses_to_target_adaptors.items()
            if adaptor.type_alias not in _WITHOUT_SOURCES
        )
        if addresses:
            found[family.namespace] = addresses
    return OwnerDirectories(found)


@rule
async def find_owned_files(request: OwnedFilesRequest) -> OwnedFiles:
    """What the targets own that one directory's BUILD files define, generated ones too."""
    generated: dict[str, Address] = {}
    named: dict[str, tuple[Address, ...]] = {}
    patterns: list[SourcesPattern] = []
    # By specs, because an address with `parametrize` stands for several targets.
    specs = RawSpecsWithoutFileOwners(
        description_of_origin=_ORIGIN,
        address_literals=tuple(
            AddressLiteralSpec(a.spec_path, a.target_name) for a in request.addresses
        ),
    )
    for target in await targets_of_specs(specs):
        address = target.address
        if address.is_generated_target:
            names = _names_of_sources(target)
            if names:
                generated.update((join(address.spec_path, name), address) for name in names)
                continue
        for field in _owning_fields(target):
            includes = field.filespec["includes"]
            if len(includes) == 1 and is_literal_glob(includes[0]):
                named[includes[0]] = (*named.get(includes[0], ()), address)
            elif includes:
                patterns.append(SourcesPattern(address, field.filespec_matcher))
    return OwnedFiles(request.directory, generated, named, tuple(patterns))


def _names_of_sources(target: Target) -> tuple[str, ...]:
    """The files of a target that `go_sources` has generated, relative to the BUILD file."""
    if target.has_field(GoSourceField):
        return (target[GoSourceField].value,)
    if target.has_field(GoPackageSourcesField):
        return target[GoPackageSourcesField].value or ()
    return ()


def _owning_fields(target: Target) -> Iterator[Any]:
    """The fields by which Pants finds the owners of a file.

    Up to Pants 2.18 others than sources count too (`SecondaryOwnerMixin`).
    """
    for field in target.field_values.values():
        if hasattr(type(field), "filespec_matcher"):
            yield field
