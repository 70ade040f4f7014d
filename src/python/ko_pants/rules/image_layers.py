"""The layers that an image adds to its base: what they hold, and in which order."""

from __future__ import annotations

import itertools
from typing import Sequence

from pants.engine.fs import EMPTY_DIGEST, Digest, FileEntry

from ko_pants.disk.disk import Disk, Kind
from ko_pants.engine import add_prefix, digest_entries, layers, packed_files, relocate
from ko_pants.errors import KoPantsError
from ko_pants.files_fields import GoOciImageFilesField, OciFilesAtField
from ko_pants.golang.input_views import KodataTree
from ko_pants.golang.repo_paths import join
from ko_pants.layer_contents import KODATA_PATH, ExecutableContent, LayerContent, TreeContent
from ko_pants.layer_fields import GoOciImageKodataField
from ko_pants.layers.encodings import LayerEncoding
from ko_pants.layers.placement import clashes, directories_of, windows_problem
from ko_pants.oci.image_config import History
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    AddedLayer,
    GoBuild,
    GoExecutable,
    LayerRequest,
    LayerSettings,
    PackedFiles,
)
from ko_pants.rules.hidden_files import hidden_in, with_hidden
from ko_pants.rules.oci_files import targets_of_field
from ko_pants.rules.repo_files import digest_of_files
from ko_pants.rules.settings import Settings
from ko_pants.target_types import OciFilesFieldSet

# The name of the tree in its digest. Equal trees are one layer, wherever in the repo they are.
_KODATA = "kodata"


def kodata_directory(field: GoOciImageKodataField, build: GoBuild | None) -> str | None:
    """The directory of an image's kodata, relative to the build root; None for none at all.

    :param build: how its program is compiled; None for a prebuilt one. This, and a package of
        another module, have no directory of the repository.
    """
    if field.value is None:
        return None if build is None or build.package else join(build.directory, _KODATA)
    return field.directory


async def kodata_digest(
    owner: str, field: GoOciImageKodataField, build: GoBuild | None, root: str
) -> Digest | None:
    """The kodata of an image, as a digest of the directory `kodata`; None if the field says False.

    :param root: the build root.
    :raises KoPantsError: it has something that cannot go into an image; the field names what is no
        directory.
    """
    if field.is_off:
        return None
    tree = kodata_directory(field, build)
    if tree is None:
        return EMPTY_DIGEST
    try:
        # First, for Pants has no good message for a link that leaves the repo.
        hidden = await hidden_in(root, [KodataTree(tree)])
        kind = Kind.DIRECTORY if field.value is None else _kind_of(tree, Disk(root))
    except KoPantsError as e:
        raise KoPantsError(f"{owner}: {e}") from None
    digest = await with_hidden(await digest_of_files((), trees=(tree,)), hidden)
    if kind is not Kind.DIRECTORY:
        raise KoPantsError(
            f"{owner}, field `{field.alias}`: {tree} is "
            + ("no directory" if kind else "not there")
            + "; expected a directory relative to the BUILD file, or False for no kodata"
        )
    if digest == EMPTY_DIGEST:
        return digest
    directory, _, name = tree.rpartition("/")
    if name == _KODATA:
        return await relocate(digest, directory) if directory else digest
    return await add_prefix(await relocate(digest, tree), _KODATA)


def _kind_of(path: str, disk: Disk) -> Kind | None:
    """What a path of the repo is, after links; None if it is not there."""
    kind = disk.kind(path)
    return disk.kind(disk.resolve(path)) if kind is Kind.LINK else kind


async def files_of_image(owner: str, field: GoOciImageFilesField) -> tuple[PackedFiles, ...]:
    """What the `oci_files` targets of an image put into it, in their order.

    :raises KoPantsError: the field names another target; or something is wrong with the files.
    """
    if not field.value:
        return ()
    targets = await targets_of_field(field)
    for target in targets:
        if not target.has_field(OciFilesAtField):
            raise KoPantsError(
                f"{owner}, field `{field.alias}`: {target.address} is a `{target.alias}`; expected "
                "an `oci_files`, which says where its files go (for example "
                f"`oci_files(targets=['{target.address}'], at='/srv')`)"
            )
    return await packed_files(OciFilesFieldSet.create(target) for target in targets)


async def check_places(
    owner: str,
    files: Sequence[PackedFiles],
    kodata: Digest | None,
    executables: Sequence[Sequence[GoExecutable]],
) -> None:
    """Make sure that no path of an image has two files, and that its platforms can have them.

    :param executables: of each platform.
    :raises KoPantsError: one has; the text names both.
    """
    if not files:
        return
    if any(executable.platform.os == "windows" for executable, *_ in executables):
        for packed in files:
            problem = windows_problem(packed.paths)
            if problem:
                raise KoPantsError(
                    f"{owner}, field `files`: {packed.owner} {problem}; rename it, or make an "
                    "image of its own for Windows"
                )
    below_kodata = KODATA_PATH + "/"
    entries = await digest_entries(kodata) if kodata is not None else ()
    data = frozenset(
        below_kodata + entry.path.partition("/")[2]
        for entry in entries
        if isinstance(entry, FileEntry)
    )
    programs = frozenset(f"/ko-app/{executable.app_name}" for executable in executables[0])
    places = [
        *((packed.owner, packed.paths, packed.directories) for packed in files),
        ("kodata", data, directories_of([*data, below_kodata]) if kodata is not None else data),
        ("a program", programs, directories_of(programs)),
    ]
    for (one, paths, directories), (other, *its) in itertools.combinations(places, 2):
        both = clashes(paths, directories, *its)
        if both:
            raise KoPantsError(
                f"{owner}, field `files`: two layers have {both[0]}: {one} and {other}; expected "
                "each path in one of them"
            )


def executable_content(executable: GoExecutable, capabilities: bytes = b"") -> ExecutableContent:
    """The content of the layer of an executable.

    :param capabilities: the attribute `security.capability`, which only Linux has.
    """
    return ExecutableContent(
        executable.digest,
        executable.path,
        executable.app_name,
        executable.import_path,
        executable.build_key,
        capabilities.hex() if executable.platform.os == "linux" else "",
        executable.request,
        executable.size,
    )


def added_contents(
    executables: tuple[GoExecutable, ...],
    files: Sequence[PackedFiles],
    kodata: Digest | None,
    settings: Settings,
    capabilities: bytes = b"",
    debugger: str = "",
) -> list[tuple[LayerContent, History]]:
    """What is added to the base for one platform, in the order of the layers.

    What changes most often is on top. Kodata and entrypoint are in the order of ko.

    :param executables: the first is the entrypoint, which is the last layer.
    :param kodata: None for no layer.
    :param capabilities: of the first executable, the entrypoint, and as in ko of Delve.
    :param debugger: the name of the executable that is Delve.
    """
    entrypoint, *others = executables
    contents: list[tuple[LayerContent, History]] = [
        (
            packed.content,
            History(
                f"oci_files {packed.owner}", f"files, at {packed.content.at}", settings.created
            ),
        )
        for packed in files
    ]
    if kodata is not None:
        created_by = f"ko build ko://{entrypoint.import_path}"
        history = History(created_by, "kodata contents, at $KO_DATA_PATH", settings.kodata_created)
        contents.append((TreeContent(_KODATA, kodata, mtime=settings.kodata_created or 0), history))
    for executable in (*others, entrypoint):
        created_by = f"ko build ko://{executable.import_path}"
        is_debugger = executable.app_name == debugger
        has_capabilities = executable is entrypoint or is_debugger
        content = executable_content(executable, capabilities if has_capabilities else b"")
        what = "Delve debugger" if is_debugger else "go build output"
        comment = f"{what}, at /ko-app/{executable.app_name}"
        contents.append((content, History(created_by, comment, settings.created)))
    return contents


async def added_layers(
    parts: Sequence[tuple[Platform, Sequence[tuple[LayerContent, History]]]],
    encoding: LayerEncoding,
    layer_settings: LayerSettings,
) -> list[tuple[AddedLayer, ...]]:
    """Find or make the layers of all platforms at once."""
    found = iter(
        await layers(
            LayerRequest(content.layer_platform(platform), content, encoding, layer_settings)
            for platform, contents in parts
            for content, _ in contents
        )
    )
    return [
        tuple(AddedLayer(next(found), history) for _, history in contents) for _, contents in parts
    ]
