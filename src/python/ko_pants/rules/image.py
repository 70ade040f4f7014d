"""From a target to its image: base, executables and layers, composed by pure functions."""

from __future__ import annotations

from typing import Sequence

from pants.base.build_root import BuildRoot
from pants.engine.addresses import Address
from pants.engine.fs import EMPTY_DIGEST, Digest
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.engine import (
    base_image,
    go_executables,
    hidden_files,
    host_tools,
    layers,
    relocate,
)
from ko_pants.errors import KoPantsError
from ko_pants.golang.executable import executable_problem
from ko_pants.golang.input_views import KodataTree
from ko_pants.golang.repo_paths import join
from ko_pants.layer_contents import ExecutableContent, LayerContent, TreeContent
from ko_pants.oci.descriptor import sorted_pairs
from ko_pants.oci.image import AppLayer, BaseImage, Image, compose_image, scratch_base
from ko_pants.oci.image_config import History, ImageConfig
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    AddedLayer,
    BaseImageRequest,
    BuiltImage,
    GoBuild,
    GoExecutable,
    GoExecutableRequest,
    HiddenFilesRequest,
    HostToolsRequest,
    LayerRequest,
    LayerSettings,
    PlatformImage,
)
from ko_pants.rules.binary import resolve_binary
from ko_pants.rules.hidden_files import hidden_in, with_hidden
from ko_pants.rules.repo_files import digest_of_files
from ko_pants.rules.settings import GoEnvironment, Settings, layer_settings, split_commas
from ko_pants.target_types import GoOciImageFieldSet, GoOciImagePlatformsField


def wanted_platforms(
    address: Address, field: GoOciImagePlatformsField, settings: Settings
) -> tuple[Platform, ...]:
    """The platforms of a target, each once; empty for `all`.

    :raises KoPantsError: a platform is unknown or malformed; the text names target and field, or
        the option.
    """
    values = split_commas(field.value or ()) or settings.platforms
    where = f"{address}, " + (
        "field `platforms`" if field.value else "option [ko].default_platforms"
    )
    if tuple(values) == ("all",):
        return ()
    if "all" in values:
        raise KoPantsError(
            f"{where}: `all` means every platform of the base image, so nothing can stand beside "
            f"it; found {', '.join(values)}. Leave out `all`, or the others"
        )
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


async def _kodata(owner: str, build: GoBuild | None, root: str) -> Digest:
    """The tree `kodata` beside the main package, as a digest of this one directory.

    :raises KoPantsError: it has something that cannot go into an image.
    """
    if build is None:
        return EMPTY_DIGEST
    tree = join(build.directory, "kodata")
    try:
        # First, for Pants has no good message for a link that leaves the repo.
        hidden = await hidden_in(root, [KodataTree(tree)])
    except KoPantsError as e:
        raise KoPantsError(f"{owner}: {e}") from None
    digest = await with_hidden(await digest_of_files((), trees=(tree,)), hidden)
    if digest == EMPTY_DIGEST or not build.directory:
        return digest
    return await relocate(digest, build.directory)


def check_executables(
    owner: str, field: str, base: BaseImage, executables: tuple[GoExecutable, ...]
) -> None:
    """Make sure that each executable runs on its platform of the base.

    :raises KoPantsError: one does not; the text says what was found and what was wanted.
    """
    for executable in executables:
        problem = executable_problem(
            executable.header, executable.platform, needs_static=not base.name
        )
        if problem:
            raise KoPantsError(f"{owner}, field `{field}`: {executable.path}: {problem}")


def executable_content(executable: GoExecutable) -> ExecutableContent:
    """The content of the layer of an executable."""
    return ExecutableContent(
        executable.digest,
        executable.path,
        executable.app_name,
        executable.import_path,
        executable.build_key,
    )


def _contents(
    executables: tuple[GoExecutable, ...], kodata: Digest, settings: Settings
) -> list[tuple[LayerContent, History]]:
    """What is added to the base for one platform, in the order of the layers, as ko does."""
    created_by = f"ko build ko://{executables[0].import_path}"
    tree = TreeContent("kodata", kodata, mtime=settings.kodata_created or 0)
    kodata_history = History(
        created_by, "kodata contents, at $KO_DATA_PATH", settings.kodata_created
    )
    return [
        (tree, kodata_history),
        *(
            (
                executable_content(executable),
                History(
                    created_by,
                    f"go build output, at /ko-app/{executable.app_name}",
                    settings.created,
                ),
            )
            for executable in executables
        ),
    ]


async def _add_layers(
    parts: Sequence[tuple[Platform, Sequence[tuple[LayerContent, History]]]],
    settings: Settings,
    layer_settings: LayerSettings,
) -> list[tuple[AddedLayer, ...]]:
    """Find or make the layers of all platforms at once."""
    found = iter(
        await layers(
            LayerRequest(
                content.layer_platform(platform), content, settings.layer_encoding, layer_settings
            )
            for platform, contents in parts
            for content, _ in contents
        )
    )
    return [
        tuple(AddedLayer(next(found), history) for _, history in contents) for _, contents in parts
    ]


def compose(base: BaseImage, platforms: Sequence[PlatformImage], config: ImageConfig) -> Image:
    """The image of these parts."""
    return compose_image(
        base,
        {
            part.platform: [
                AppLayer(
                    added.layer.request.content.kind,
                    added.layer.diff_id,
                    added.layer.descriptor,
                    added.history,
                )
                for added in part.layers
            ]
            for part in platforms
        },
        config,
    )


@rule(desc="Build image", level=LogLevel.DEBUG)
async def build_image(
    field_set: GoOciImageFieldSet,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> BuiltImage:
    """Everything of an image but the bytes of its layers.

    :raises KoPantsError: whatever is wrong with the target, its program or its base; the text names
        target and field.
    """
    owner = str(field_set.address)
    wanted = wanted_platforms(field_set.address, field_set.platforms, settings)
    base = await _base(field_set, settings, wanted)
    build, prebuilt = await resolve_binary(field_set.binary, build_root.path)
    platforms = tuple(m.platform for m in base.manifests)
    tools = await host_tools(HostToolsRequest(python_only=build is None))
    hidden = await hidden_files(HiddenFilesRequest())
    executables = await go_executables(
        GoExecutableRequest(
            platform, platforms, build, prebuilt, tools.go, outside.variables, hidden
        )
        for platform in platforms
    )
    check_executables(owner, field_set.binary.alias, base, executables)
    kodata = await _kodata(owner, build, build_root.path)
    added = await _add_layers(
        [(e.platform, _contents((e,), kodata, settings)) for e in executables],
        settings,
        layer_settings(settings, tools),
    )
    parts = tuple(
        PlatformImage(executable.platform, (executable,), of_platform)
        for executable, of_platform in zip(executables, added)
    )
    config = ImageConfig(
        app_name=executables[0].app_name,
        labels=sorted_pairs(field_set.labels.value or {}),
        created=settings.created,
    )
    return BuiltImage(owner, base, config, parts, compose(base, parts, config))
