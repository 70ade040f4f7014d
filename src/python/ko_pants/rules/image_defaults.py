"""What `.ko.yaml` says of an image: the base of its program, and capabilities."""

from __future__ import annotations

from ko_pants.engine import ko_yaml
from ko_pants.golang.import_path import import_path_of
from ko_pants.ko_yaml.defaults import base_of
from ko_pants.oci.image import BaseImage
from ko_pants.products import GoBuild, KoYamlRequest
from ko_pants.rules.binary import find_binary
from ko_pants.rules.go_closure import closure_request, workspace_of
from ko_pants.rules.image_config import file_capabilities
from ko_pants.rules.program_defaults import capabilities_of_program
from ko_pants.rules.settings import GoEnvironment
from ko_pants.target_types import GoOciImageBinaryField, GoOciImageFieldSet


async def overridden_base(binary: GoOciImageBinaryField, outside: GoEnvironment) -> str:
    """The base that `baseImageOverrides` names for a program; empty if it names none.

    :raises KoPantsError: the program is in no module.
    """
    configuration = (await ko_yaml(KoYamlRequest())).configuration
    if not configuration.base_image_overrides:
        return ""
    build = await find_binary(binary)
    if not isinstance(build, GoBuild):
        return ""
    if build.package:
        return base_of(configuration, build.package)
    workspace = await workspace_of(closure_request(build, (), outside.variables))
    return base_of(configuration, import_path_of(build.directory, workspace))


async def capabilities_of_image(field_set: GoOciImageFieldSet, base: BaseImage) -> bytes:
    """The attribute `security.capability` of the program: of the target, else of `.ko.yaml`.

    As in ko, those of `.ko.yaml` do nothing in an image without Linux.

    :raises KoPantsError: they are malformed.
    """
    own = file_capabilities(field_set)
    if field_set.linux_capabilities.value is not None:
        return own
    if all(manifest.platform.os != "linux" for manifest in base.manifests):
        return b""
    if not (await ko_yaml(KoYamlRequest())).configuration.builds:
        return b""
    build = await find_binary(field_set.binary)
    if not isinstance(build, GoBuild):
        return b""
    return await capabilities_of_program(build.owner, build.package or build.directory)
