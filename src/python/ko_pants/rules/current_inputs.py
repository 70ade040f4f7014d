"""What an image would be made from, as everything is now. Nothing is compiled, no layer is made."""

from __future__ import annotations

from dataclasses import replace

from ko_pants.engine import program_inputs
from ko_pants.layer_contents import TreeContent
from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.products import GoExecutableRequest, ImageInputs
from ko_pants.rules.image import wanted_platforms
from ko_pants.rules.image_base import image_base
from ko_pants.rules.image_config import image_config
from ko_pants.rules.image_defaults import capabilities_of_image
from ko_pants.rules.image_inputs import KODATA, ProgramUse, TreeUse, image_inputs
from ko_pants.rules.image_layers import files_of_image, kodata_digest
from ko_pants.rules.image_programs import wanted_programs
from ko_pants.rules.program_inputs import inputs_request
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.rules.single_file import single_file
from ko_pants.rules.template_values import filled_labels
from ko_pants.target_types import GoOciImageFieldSet


async def _program(requests: tuple[GoExecutableRequest, ...], capabilities: bytes) -> ProgramUse:
    """A program, without its executables.

    :param capabilities: those of its layer on Linux.
    """
    platforms = tuple(request.platform for request in requests)
    on_linux = any(platform.os == "linux" for platform in platforms)
    attribute = capabilities.hex() if on_linux else ""
    prebuilt = requests[0].prebuilt
    if prebuilt is not None:
        entry = await single_file(prebuilt.digest)
        digest = f"sha256:{entry.file_digest.fingerprint}"
        return ProgramUse(
            prebuilt.path,
            platforms,
            prebuilt=(digest,) * len(platforms),
            capabilities=attribute,
        )
    asked = [inputs_request(request) for request in requests]
    answers = dict(zip(dict.fromkeys(asked), await program_inputs(dict.fromkeys(asked))))
    sources = tuple(answers[request] for request in asked)
    return ProgramUse(sources[0].import_path, platforms, requests, sources, capabilities=attribute)


async def current_inputs(
    field_set: GoOciImageFieldSet, settings: Settings, outside: GoEnvironment, root: str
) -> tuple[ImageInputs, str]:
    """What the image would be made from, and the import path of its program, if that is compiled.

    :param root: the build root.
    :raises KoPantsError: as building it, for all that is found out without a compile.
    """
    owner = str(field_set.address)
    wanted = wanted_platforms(field_set.address, field_set.platforms, settings)
    base = await image_base(field_set, settings, wanted, outside)
    config = image_config(field_set, base, settings.created)
    capabilities = await capabilities_of_image(field_set, base)
    programs = await wanted_programs(field_set, base, outside, settings)
    uses = []
    for number, requests in enumerate(programs.requests):
        # As in `added_contents` of `image_layers`.
        is_debugger = programs.debug and number == len(programs.requests) - 1
        has_capabilities = number == 0 or is_debugger
        uses.append(await _program(requests, capabilities if has_capabilities else b""))
    trees = [
        TreeUse(packed.owner, packed.content)
        for packed in await files_of_image(owner, field_set.files)
    ]
    kodata = await kodata_digest(owner, field_set.kodata, programs.found[0][0], root)
    if kodata is not None:
        content = TreeContent(KODATA, kodata, mtime=settings.kodata_created or 0)
        trees.append(TreeUse(KODATA, content))
    platforms = tuple(manifest.platform for manifest in base.manifests)
    environment = field_set.environment.value or ""
    labels = await filled_labels(owner, field_set.labels, platforms, outside, settings, environment)
    config = replace(config, labels=sorted_pairs(labels))
    import_path = uses[0].name if uses[0].requests else ""
    return image_inputs(field_set, settings, base, config, uses, trees), import_path
