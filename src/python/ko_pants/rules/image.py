"""From a target to its image: base, executables and layers, composed by pure functions."""

from __future__ import annotations

import posixpath

from pants.engine.addresses import Address
from pants.engine.fs import EMPTY_DIGEST, Digest
from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from ko_pants.engine import (
    base_image,
    go_executables,
    host_tools,
    layers,
    relocate,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import executable_problem
from ko_pants.oci.image import (
    AppLayer,
    BaseImage,
    Image,
    ImageConfig,
    compose_image,
    image_annotations,
    scratch_base,
)
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    BaseImageRequest,
    BuiltImage,
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HostToolsRequest,
    Layer,
    LayerRequest,
    PrebuiltFile,
)
from ko_pants.rules.binary import resolve_binary
from ko_pants.rules.repo_files import digest_of_files
from ko_pants.rules.settings import GoEnvironment, Settings, layer_settings
from ko_pants.target_types import GoOciImageFieldSet, GoOciImagePlatformsField

# kodata layers differ by operating system only; any architecture stands for all.
_KODATA_ARCHITECTURE = "amd64"


def wanted_platforms(
    address: Address, field: GoOciImagePlatformsField, settings: Settings
) -> tuple[Platform, ...]:
    """The platforms of a target, each once; empty for `all`.

    :raises KoPantsError: unknown or malformed; names target and field, or the option.
    """
    values = field.value or settings.platforms
    where = f"{address}, " + (
        "field `platforms`" if field.value else "option [ko].default_platforms"
    )
    if tuple(values) == ("all",):
        return ()
    try:
        return tuple(dict.fromkeys(Platform.parse(value) for value in values))
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


async def _base(
    field_set: GoOciImageFieldSet, settings: Settings, wanted: tuple[Platform, ...]
) -> BaseImage:
    reference = field_set.base_image.value or settings.base_image
    where = f"{field_set.address}, " + (
        "field `base_image`"
        if field_set.base_image.value
        else "option [ko].default_base_image (or $KO_DEFAULTBASEIMAGE)"
    )
    if reference == "scratch":
        if not wanted:
            named = (
                "field `platforms`"
                if field_set.platforms.value
                else "option [ko].default_platforms (or $KO_DEFAULTPLATFORMS)"
            )
            raise KoPantsError(
                f"{field_set.address}, {named}: `all` means every platform of the base "
                "image, and `scratch` has none; name the platforms"
            )
        return scratch_base(wanted)
    try:
        return (await base_image(BaseImageRequest(reference, wanted))).base
    except KoPantsError as e:
        raise KoPantsError(f"{where}: {e}") from None


async def _kodata(build: GoBuild | None, prebuilt: PrebuiltFile | None) -> Digest:
    """The tree beside the main package, as the one directory `kodata`."""
    if build is None:
        return EMPTY_DIGEST
    digest = await digest_of_files((), trees=(posixpath.join(build.directory, "kodata"),))
    if digest == EMPTY_DIGEST or not build.directory:
        return digest
    return await relocate(digest, build.directory)


def check_executables(
    owner: str, field: str, base: BaseImage, executables: tuple[GoExecutable, ...]
) -> None:
    """Make sure that each executable runs on its platform of the base.

    :raises KoPantsError: what was found and what was wanted.
    """
    for executable in executables:
        problem = executable_problem(
            executable.header, executable.platform, needs_static=not base.name
        )
        if problem:
            raise KoPantsError(f"{owner}, field `{field}`: {executable.path}: {problem}")


def compose(
    base: BaseImage,
    found: tuple[Layer, ...],
    executables: tuple[GoExecutable, ...],
    labels: tuple[tuple[str, str], ...],
    settings: Settings,
) -> Image:
    """Layers (kodata and binary of each executable, in this order) on the base."""
    app_name = executables[0].app_name
    by_platform = {}
    for executable, kodata, binary in zip(executables, found[::2], found[1::2]):
        by_platform[executable.platform] = [
            AppLayer(
                "kodata",
                kodata.diff_id,
                kodata.descriptor,
                "kodata contents, at $KO_DATA_PATH",
                settings.kodata_created,
            ),
            AppLayer(
                "binary",
                binary.diff_id,
                binary.descriptor,
                f"go build output, at /ko-app/{app_name}",
                settings.created,
            ),
        ]
    return compose_image(
        base,
        by_platform,
        ImageConfig(
            app_name=app_name,
            import_path=executables[0].import_path,
            labels=labels,
            created=settings.created,
        ),
    )


@rule(desc="Build image", level=LogLevel.DEBUG)
async def build_image(
    field_set: GoOciImageFieldSet, settings: Settings, outside: GoEnvironment
) -> BuiltImage:
    """Everything of an image but the bytes of its layers.

    :raises KoPantsError: whatever is wrong with the target, its program or its base; the text names
        target and field.
    """
    owner = str(field_set.address)
    wanted = wanted_platforms(field_set.address, field_set.platforms, settings)
    base = await _base(field_set, settings, wanted)
    build, prebuilt = await resolve_binary(field_set.binary)
    platforms = tuple(m.platform for m in base.manifests)
    tools = await host_tools(HostToolsRequest(python_only=build is None))
    executables = await go_executables(
        GoExecutableRequest(platform, platforms, build, prebuilt, tools.go, outside.variables)
        for platform in platforms
    )
    check_executables(owner, field_set.binary.alias, base, executables)
    kodata = await _kodata(build, prebuilt)
    epoch = settings.kodata_created or 0
    how = layer_settings(settings, tools)
    found = await layers(
        request
        for executable in executables
        for request in (
            LayerRequest(
                Platform(executable.platform.os, _KODATA_ARCHITECTURE),
                how,
                kodata=kodata,
                kodata_epoch=epoch,
            ),
            LayerRequest(executable.platform, how, executable),
        )
    )
    labels = image_annotations(field_set.labels.value or {})
    image = compose(base, found, executables, labels, settings)
    return BuiltImage(owner, image, base, found, executables, labels)


def rules() -> list[object]:
    """The rules of this module."""
    return list(collect_rules())
