"""What an image is made from: of one that is built, and of one that is not (`ko-explain`).

Both are put together by the same functions, so that a difference of the two is one of the inputs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from pants.engine.fs import Digest

import ko_pants
from ko_pants.explanation.program_inputs import Named, flag_inputs, variable_inputs
from ko_pants.explanation.record import (
    BASE_IMAGE,
    COMPILED,
    COMPRESSOR,
    ENVIRONMENT_VARIABLE,
    FIELD,
    FILES,
    GO_VERSION,
    KODATA_FILE,
    LAYER_FILE,
    OPTION,
    PLATFORM,
    PLUGIN,
    PREBUILT,
    PROGRAM,
    SOURCE_FILE,
    TO_BASE,
    TO_CONFIG,
    TO_FILES,
    TO_IMAGE,
    TO_LAYERS,
    TO_PROGRAM,
    Input,
    hidden,
)
from ko_pants.golang.build_environment import build_environment
from ko_pants.layer_contents import TreeContent
from ko_pants.layer_fields import layer_encoding
from ko_pants.oci.image import BaseImage
from ko_pants.oci.image_config import ImageConfig
from ko_pants.oci.platform import Platform
from ko_pants.products import (
    GoExecutableRequest,
    ImageInputs,
    InputTree,
    ProgramInputs,
)
from ko_pants.rules.image_layers import kodata_directory
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet

KODATA = "kodata"


@dataclass(frozen=True)
class ProgramUse:
    """A program of an image.

    :param name: its import path, or the path of a prebuilt file.
    :param requests: for each platform; without one that compiles, it is prebuilt.
    :param sources: what each compile reads, in the same order.
    :param prebuilt: the digest of a prebuilt file, for each platform.
    :param capabilities: the attribute `security.capability` in hex; empty for none.
    """

    name: str
    platforms: tuple[Platform, ...]
    requests: tuple[GoExecutableRequest, ...] = ()
    sources: tuple[ProgramInputs, ...] = ()
    prebuilt: tuple[str, ...] = ()
    capabilities: str = ""


@dataclass(frozen=True)
class TreeUse:
    """A layer of files: `kodata`, or the address of an `oci_files` target."""

    name: str
    content: TreeContent


def image_inputs(
    field_set: GoOciImageFieldSet,
    settings: Settings,
    base: BaseImage,
    config: ImageConfig,
    programs: Sequence[ProgramUse],
    trees: Sequence[TreeUse],
) -> ImageInputs:
    """What an image is made from.

    :param config: without the name of the program, which is that of the first of `programs`.
    """
    inputs = [
        Input(TO_IMAGE, "", "", PLUGIN, "ko_pants", ko_pants.__version__),
        *(Input(TO_IMAGE, "", "", PLATFORM, str(m.platform), "wanted") for m in base.manifests),
        Input(TO_BASE, "", "", BASE_IMAGE, "base_image", _base(base)),
        *_encoding_inputs(field_set, settings),
        *_option_inputs(field_set, settings, programs),
        *_config_inputs(config),
    ]
    files: list[InputTree] = []
    for program in programs:
        inputs += _program_inputs(program)
        files += _program_trees(program)
    for tree in trees:
        inputs += _tree_inputs(tree)
        files.append(_tree(field_set, tree, programs))
    return ImageInputs(_key(inputs, files), tuple(inputs), tuple(files))


def _key(inputs: Iterable[Input], trees: Iterable[InputTree]) -> str:
    """A hash of everything. Files are in it by the digest of their tree."""
    found = [repr(sorted(inputs))]
    for tree in trees:
        digest = tree.digest
        place = tree.part, tree.of, tree.platform, tree.kind, tree.paths
        found.append(repr((place, digest.fingerprint, digest.serialized_bytes_length)))
    return hashlib.sha256("\n".join(found).encode("utf-8", "surrogateescape")).hexdigest()


def _base(base: BaseImage) -> str:
    return f"{base.name}@{base.digest}" if base.name else "scratch"


def _encoding_inputs(field_set: GoOciImageFieldSet, settings: Settings) -> list[Input]:
    encoding = layer_encoding(
        field_set.address,
        field_set.compression,
        field_set.compression_level,
        settings.layer_encoding,
    )
    return [Input(TO_LAYERS, "", "", COMPRESSOR, "compressor", encoding.compressor)]


def _option_inputs(
    field_set: GoOciImageFieldSet, settings: Settings, programs: Sequence[ProgramUse]
) -> list[Input]:
    """The options that stand for a field which the target leaves out."""
    found = []
    if not field_set.base_image.value:
        name = "[ko].default_base_image"
        found.append(Input(TO_BASE, "", "", OPTION, name, settings.base_image))
    if field_set.compression.value is None:
        name = "[ko].layer_compression"
        found.append(Input(TO_LAYERS, "", "", OPTION, name, settings.layer_encoding.name))
    for field, name, value in (
        (field_set.debug, "[ko].debug", settings.debug),
        (
            field_set.disable_optimizations,
            "[ko].disable_optimizations",
            settings.disable_optimizations,
        ),
    ):
        if field.value is None:
            found.append(Input(TO_PROGRAM, programs[0].name, "", OPTION, name, str(value)))
    return found


def _config_inputs(config: ImageConfig) -> list[Input]:
    """How containers run. Values that are often secret are hidden, though the image has them."""
    named: list[Named] = [
        (FIELD, "user", config.user),
        (FIELD, "workdir", config.workdir),
        (FIELD, "ports", ", ".join(config.ports)),
        (FIELD, "volumes", ", ".join(config.volumes)),
        (FIELD, "stop_signal", config.stop_signal),
        *_hidden_values("entrypoint_args", {"": " ".join(map(repr, config.entrypoint_args))}),
        *_hidden_values("cmd", {"": " ".join(map(repr, config.cmd))}),
        *_hidden_values("image_labels", dict(config.labels)),
        *_hidden_values("image_annotations", dict(config.annotations)),
        *_hidden_values("image_env", dict(_variable(entry) for entry in config.env)),
    ]
    if config.created is not None:
        named.append((ENVIRONMENT_VARIABLE, "SOURCE_DATE_EPOCH", str(config.created)))
    return [Input(TO_CONFIG, "", "", *found) for found in named if found[2]]


def _variable(entry: str) -> tuple[str, str]:
    name, equals, value = entry.partition("=")
    return name, equals + value


def _hidden_values(field: str, values: Mapping[str, str]) -> list[Named]:
    found = []
    for key, value in values.items():
        name = f"{field} {key}".rstrip()
        found.append((FIELD, name, hidden(name, value) if key or value else ""))
    return found


def _program_inputs(program: ProgramUse) -> list[Input]:
    name = program.name
    kind = COMPILED if program.requests else PREBUILT
    found = [Input(TO_IMAGE, "", "", PROGRAM, name, kind)]
    if program.capabilities:
        # Its layer is another, and its compile is not.
        field = f"linux_capabilities of {name}"
        found.append(Input(TO_FILES, name, "", FIELD, field, program.capabilities))
    if program.requests:
        return found + _for_platforms(
            TO_PROGRAM, name, program.platforms, list(map(_compile_inputs, program.requests))
        )
    return found + _for_platforms(
        TO_PROGRAM,
        name,
        program.platforms,
        [[(SOURCE_FILE, name, digest)] for digest in program.prebuilt],
    )


def _for_platforms(
    part: str, of: str, platforms: Sequence[Platform], named: Sequence[Sequence[Named]]
) -> list[Input]:
    """Inputs for each platform; once for all of them if they are the same."""
    if all(one == named[0] for one in named):
        return [Input(part, of, "", *found) for found in named[0]]
    shared = set(named[0]).intersection(*named[1:])
    inputs = [Input(part, of, "", *found) for found in named[0] if found in shared]
    for platform, of_platform in zip(platforms, named):
        inputs += [
            Input(part, of, str(platform), *found) for found in of_platform if found not in shared
        ]
    return inputs


def _compile_inputs(request: GoExecutableRequest) -> list[Named]:
    """What a compile is told beside its files."""
    build, go = request.build, request.go
    assert build is not None
    env = build_environment(request.platform, request.environment, dict(build.env))
    # Those of the platform follow from it.
    of_platform = request.platform.go_env()
    found = [
        *flag_inputs(build.flags, build.ldflags),
        *variable_inputs({name: v for name, v in env.items() if name not in of_platform}),
    ]
    if build.package:
        found.append((FIELD, "package", build.package))
    if build.environment:
        found.append((FIELD, "environment", build.environment))
    if go is not None:
        toolchain = go.toolchain
        words = (toolchain.name, toolchain.build_id, *toolchain.search_path)
        found.append((GO_VERSION, "Go", " ".join(filter(None, words))))
    return found


def _program_trees(program: ProgramUse) -> list[InputTree]:
    if not program.sources:
        return []
    if all(sources == program.sources[0] for sources in program.sources):
        wanted = [("", program.sources[0])]
    else:
        wanted = list(zip(map(str, program.platforms), program.sources))
    return [
        InputTree(TO_PROGRAM, program.name, platform, SOURCE_FILE, sources.sources, program=sources)
        for platform, sources in wanted
    ]


def _tree_inputs(tree: TreeUse) -> list[Input]:
    content = tree.content
    found = [Input(TO_IMAGE, "", "", FILES, tree.name, content.at)]
    if tree.name == KODATA:
        if content.mtime:
            name = "KO_DATA_DATE_EPOCH"
            found.append(
                Input(TO_FILES, KODATA, "", ENVIRONMENT_VARIABLE, name, str(content.mtime))
            )
        return found
    modes = f"{content.file_mode:o}, {content.executable_mode:o}"
    for field, value in (
        ("mode", modes),
        ("directory_mode", f"{content.directory_mode:o}"),
        ("owner", f"{content.uid}:{content.gid}"),
    ):
        found.append(Input(TO_FILES, tree.name, "", FIELD, f"{field} of {tree.name}", value))
    return found


def _tree(
    field_set: GoOciImageFieldSet, tree: TreeUse, programs: Sequence[ProgramUse]
) -> InputTree:
    content = tree.content
    place = content.at
    kind = LAYER_FILE
    if tree.name == KODATA:
        kind = KODATA_FILE
        build = programs[0].requests[0].build if programs[0].requests else None
        place = kodata_directory(field_set.kodata, build) or place
    digest: Digest = content.digest
    return InputTree(TO_FILES, tree.name, "", kind, digest, (content.root, place))
