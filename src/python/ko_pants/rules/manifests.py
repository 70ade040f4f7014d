"""Manifests: read, with what their label selector matches, and with the image of each reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Sequence

from pants.engine.rules import rule
from pants.util.frozendict import FrozenDict

from ko_pants.engine import digest_contents
from ko_pants.errors import KoPantsError
from ko_pants.kubernetes.selection import select_documents
from ko_pants.kubernetes.selectors import parse_selector
from ko_pants.kubernetes.streams import ManifestFile, read_file
from ko_pants.products import Manifests, ManifestsRequest
from ko_pants.rules.manifest_images import NamedImages, find_named_images
from ko_pants.rules.settings import GoEnvironment


def select(file: ManifestFile, selector: str) -> ManifestFile:
    """The file with what a selector matches. A template stays whole.

    :raises KoPantsError: a document is no Kubernetes object.
    """
    if not selector.strip() or file.is_template:
        return file
    selected = select_documents(file.manifest, parse_selector(selector), file.path)
    return replace(file, manifest=selected)


@rule
async def find_manifests(request: ManifestsRequest, outside: GoEnvironment) -> Manifests:
    """Read the files, and look up their references.

    :raises KoPantsError: a file is no YAML, or references that name no image; all of these are
        named, with file, line and column.
    """
    contents = await digest_contents(request.sources)
    try:
        files = tuple(
            select(read_file(file.path, file.content), request.selector)
            for file in sorted(contents, key=lambda file: file.path.split("/"))
        )
    except KoPantsError as e:
        raise KoPantsError(f"{request.owner}: {e}") from None
    values = [reference.value for file in files for reference in file.manifest.references]
    named = await find_named_images(values, request.relative_to, outside.variables, explain=True)
    _check(request.owner, files, named)
    return Manifests(request.owner, files, FrozenDict(named.images))


def _check(owner: str, files: Sequence[ManifestFile], named: NamedImages) -> None:
    """Refuse references that name no image.

    :raises KoPantsError: there are such.
    """
    problems = [
        f"{file.path}:{reference.line}:{reference.column}: {reference.value}: "
        f"{named.problems[reference.value]}"
        for file in files
        for reference in file.manifest.references
        if reference.value in named.problems
    ]
    if len(problems) == 1:
        raise KoPantsError(f"{owner}: {problems[0]}")
    if problems:
        raise KoPantsError(
            f"{owner}: {len(problems)} references name no image:\n" + "\n".join(problems)
        )
