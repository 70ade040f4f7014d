"""The SBOMs and the provenance of an image, from what is known of it. No layer is read."""

from __future__ import annotations

from typing import Mapping, Sequence

from pants.engine.fs import FileEntry
from pants.engine.rules import rule
from pants.util.logging import LogLevel

from ko_pants.artifacts.inventory import (
    File,
    ImageInventory,
    IndexInventory,
    Inventory,
    InventoryBase,
    InventoryLayer,
    Program,
    Tools,
)
from ko_pants.engine import digest_entries
from ko_pants.golang.build_info import BuildInfo
from ko_pants.layer_contents import LayerContent, TreeContent
from ko_pants.layers.placement import join_place
from ko_pants.oci.image import BaseImage, ImageManifest
from ko_pants.products import (
    BuiltImage,
    GoExecutable,
    ImageArtifacts,
    ImageArtifactsRequest,
    PlatformImage,
)
from ko_pants.rules.executable_build_info import build_infos

_Files = Mapping[LayerContent, "tuple[File, ...]"]


async def _tree_files(content: TreeContent) -> tuple[File, ...]:
    """The files of a tree, at their paths in the image."""
    prefix = f"{content.root}/"
    return tuple(
        File(
            join_place(content.at, entry.path[len(prefix) :]),
            f"sha256:{entry.file_digest.fingerprint}",
            entry.file_digest.serialized_bytes_length,
        )
        for entry in await digest_entries(content.digest)
        if isinstance(entry, FileEntry)
    )


def _trees(built: BuiltImage) -> tuple[TreeContent, ...]:
    """The trees in the image, each once: platforms share them."""
    contents = [added.layer.request.content for part in built.platforms for added in part.layers]
    return tuple(dict.fromkeys(c for c in contents if isinstance(c, TreeContent)))


def _program(executable: GoExecutable, info: BuildInfo | None) -> Program:
    # The import path of a prebuilt executable is the path of its file.
    import_path = executable.import_path if executable.compiled else info.path if info else ""
    file = File(f"/ko-app/{executable.app_name}", executable.file_digest, executable.size)
    return Program(file, import_path, info)


def _layers(
    manifest: ImageManifest, part: PlatformImage, files: _Files
) -> tuple[InventoryLayer, ...]:
    of_base = len(manifest.layers) - len(part.layers)
    return (
        *(InventoryLayer(x.kind, x.diff_id, x.descriptor) for x in manifest.layers[:of_base]),
        *(
            InventoryLayer(
                layer.kind,
                layer.diff_id,
                layer.descriptor,
                added.history.created_by,
                files.get(added.layer.request.content, ()),
            )
            for layer, added in zip(manifest.layers[of_base:], part.layers)
        ),
    )


def _base(base: BaseImage, manifest_digest: str = "") -> InventoryBase | None:
    return InventoryBase(base.name, base.digest, manifest_digest) if base.name else None


def inventories_of(
    built: BuiltImage, infos: Sequence[BuildInfo | None], files: _Files
) -> list[Inventory]:
    """What is in each platform, and what is in the index if there is one.

    :param infos: of all executables, those of one platform after those of another.
    :param files: of each tree.
    """
    left = iter(infos)
    found = [
        (part, [(executable, next(left)) for executable in part.executables])
        for part in built.platforms
    ]
    compiled = (info.go_version for _, of in found for e, info in of if e.compiled and info)
    tools = Tools(go=next(compiled, ""))
    created = built.config.created or 0
    image = built.image
    inventories: list[Inventory] = [
        ImageInventory(
            manifest.descriptor,
            built.owner,
            created,
            tuple(_program(*program) for program in programs),
            _layers(manifest, part, files),
            _base(built.base, of_base.digest),
            tools,
        )
        for manifest, of_base, (part, programs) in zip(image.manifests, built.base.manifests, found)
    ]
    if image.index:
        platforms = tuple(manifest.descriptor for manifest in image.manifests)
        base = _base(built.base)
        inventories.append(
            IndexInventory(image.descriptor, built.owner, created, platforms, base, tools)
        )
    return inventories


@rule(desc="Describe image", level=LogLevel.DEBUG)
async def describe_image(request: ImageArtifactsRequest) -> ImageArtifacts:
    """The artifacts of an image: for each platform, and then for the index.

    :raises KoPantsError: a prebuilt executable cannot be read.
    """
    # Only here, for every run imports this module.
    from ko_pants.artifacts.documents import artifacts_of

    built, wanted = request.built, request.wanted
    files: dict[LayerContent, tuple[File, ...]] = {}
    for tree in _trees(built):
        files[tree] = await _tree_files(tree)
    infos = await build_infos([e for part in built.platforms for e in part.executables])
    provenance = (wanted.builder_id, wanted.invocation_id) if wanted.provenance else None
    return ImageArtifacts(
        tuple(
            artifact
            for inventory in inventories_of(built, infos, files)
            for artifact in artifacts_of(inventory, sbom=wanted.sbom, provenance_of=provenance)
        )
    )
