"""What an image was made from that is built: read off its parts, with nothing asked twice."""

from __future__ import annotations

from typing import Iterable

from pants.engine.rules import rule

from ko_pants.engine import built_image, program_inputs
from ko_pants.layer_contents import ExecutableContent, TreeContent
from ko_pants.products import (
    AddedLayer,
    BuiltImage,
    GoExecutable,
    ImageInputs,
    RecordedImage,
    RecordedImageRequest,
)
from ko_pants.rules.image_inputs import KODATA, ProgramUse, TreeUse, image_inputs
from ko_pants.rules.program_inputs import inputs_request
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet


def layer_name(added: AddedLayer) -> str:
    """What a record calls a layer: `kodata`, the address of an `oci_files`, or a program."""
    content = added.layer.request.content
    if isinstance(content, ExecutableContent):
        return content.import_path
    if content.kind == KODATA:
        return KODATA
    # The entry of `oci_files <address>` in the history.
    return added.history.created_by.partition(" ")[2]


def _trees(built: BuiltImage) -> list[TreeUse]:
    """Layers of files are the same for all platforms."""
    return [
        TreeUse(layer_name(added), content)
        for added in built.platforms[0].layers
        for content in [added.layer.request.content]
        if isinstance(content, TreeContent)
    ]


def _capabilities(built: BuiltImage, name: str) -> str:
    contents = (a.layer.request.content for part in built.platforms for a in part.layers)
    found = (
        content.capabilities
        for content in contents
        if isinstance(content, ExecutableContent) and content.import_path == name
    )
    return next(filter(None, found), "")


async def _program(built: BuiltImage, executables: Iterable[GoExecutable]) -> ProgramUse:
    """A program of the image; one executable for each platform."""
    of_platforms = tuple(executables)
    name = of_platforms[0].import_path
    requests = tuple(e.request for e in of_platforms if e.request is not None)
    asked = [inputs_request(request) for request in requests]
    different = tuple(dict.fromkeys(asked))
    answers = dict(zip(different, await program_inputs(different)))
    return ProgramUse(
        name,
        tuple(part.platform for part in built.platforms),
        requests,
        tuple(answers[request] for request in asked),
        () if requests else tuple(e.file_digest for e in of_platforms),
        _capabilities(built, name),
    )


async def inputs_of_built(
    field_set: GoOciImageFieldSet, settings: Settings, built: BuiltImage
) -> ImageInputs:
    """What the image was made from."""
    programs = [
        await _program(built, executables)
        for executables in zip(*(part.executables for part in built.platforms))
    ]
    return image_inputs(field_set, settings, built.base, built.config, programs, _trees(built))


@rule
async def find_recorded_image(request: RecordedImageRequest, settings: Settings) -> RecordedImage:
    """Build the image, and say what it was made from.

    It is a step of its own, because nothing of it depends on the names of the image.
    """
    built = await built_image(request.field_set)
    return RecordedImage(built, await inputs_of_built(request.field_set, settings, built))
