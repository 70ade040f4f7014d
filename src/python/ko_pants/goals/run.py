"""`run`: in a container of docker or podman, or else the program itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from pants.core.goals.run import RunFieldSet, RunInSandboxBehavior, RunRequest
from pants.engine.addresses import Addresses
from pants.engine.env_vars import EnvironmentVarsRequest
from pants.engine.fs import CreateDigest, Directory, FileDigest, FileEntry, MergeDigests
from pants.engine.rules import _uncacheable_rule, collect_rules

from ko_pants.engine import (
    built_image,
    create_digest,
    environment_vars,
    image_blobs,
    merge_digests,
    targets_at,
)
from ko_pants.errors import KoPantsError
from ko_pants.oci.archives import docker_archive_files
from ko_pants.oci.platform import Platform
from ko_pants.products import BuiltImage, ImageBlobsRequest
from ko_pants.publishing.container_engines import (
    ENGINE_VARIABLES,
    RUN_EXECUTABLE,
    RUN_IMAGE,
    ContainerEngine,
    find_engine,
    machine_platform,
    platform_to_run,
)
from ko_pants.publishing.local_loading import digest_tag
from ko_pants.publishing.registries import KO_LOCAL
from ko_pants.rules.image import wanted_platforms
from ko_pants.rules.image_archive import write_archive
from ko_pants.rules.image_names import destinations_of, image_names
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.run_fields import GoOciImageExtraRunArgsField
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import (
    GoOciImageBaseImageField,
    GoOciImageFieldSet,
    GoOciImagePlatformsField,
    GoOciImageRegistriesField,
)

_KODATA = "kodata"


@dataclass(frozen=True)
class GoOciImageRunFieldSet(RunFieldSet):
    """What `run` needs of its target; the rest is that of the package."""

    required_fields = (GoOciImageRegistriesField, GoOciImageBaseImageField)
    run_in_sandbox_behavior = RunInSandboxBehavior.NOT_SUPPORTED

    extra_run_args: GoOciImageExtraRunArgsField


def _on(image: GoOciImageFieldSet, platform: Platform) -> GoOciImageFieldSet:
    """The image for one platform."""
    field = GoOciImagePlatformsField([str(platform)], image.address)
    return replace(image, platforms=field)


async def _in_container(
    engine: ContainerEngine,
    image: GoOciImageFieldSet,
    run_args: tuple[str, ...],
    settings: Settings,
    outside: GoEnvironment,
) -> RunRequest:
    """Load the image of the platform of containers here, and run it.

    :raises KoPantsError: it has no such platform, or cannot be built.
    """
    wanted = wanted_platforms(image.address, image.platforms, settings)
    machine = machine_platform("linux")
    platform = platform_to_run(wanted, machine)
    if platform is None:
        raise KoPantsError(
            f"{image.address}: containers here are of the platform {machine}, and the image is for "
            f"{', '.join(map(str, wanted))}; add {machine} to its field `platforms` (or to "
            "[ko].default_platforms), or run the program without a container: "
            "--ko-run-with=executable"
        )
    built = await built_image(_on(image, platform))
    built = (await image_blobs(ImageBlobsRequest(built))).built
    (manifest,) = built.image.manifests
    names = await image_names(image, outside, settings)
    destination = destinations_of(names, settings, built)[0]
    place = destination.local_alias or destination.registry or KO_LOCAL
    repository = f"{place}/{destination.repository}"
    name = f"{repository}:{destination.tags[0]}"
    unique = f"{repository}:{digest_tag(manifest.descriptor.digest)}"
    archive = "docker.tar"
    files = docker_archive_files(manifest, tuple(dict.fromkeys((name, unique))))
    return RunRequest(
        digest=await write_archive(built.owner, archive, files),
        args=(
            *("/bin/sh", "-c", RUN_IMAGE, "ko-run"),
            *(engine.path, f"{{chroot}}/{archive}", name, unique),
            *(*run_args, name),
        ),
    )


def _executable_argv(built: BuiltImage, program: str) -> tuple[str, ...]:
    """The program with the arguments of the image's config."""
    config = json.loads(built.image.manifests[0].config)["config"]
    words = (program, *config["Entrypoint"][1:])
    defaults = tuple(config.get("Cmd") or ())
    if not defaults:
        return words
    counts = (str(len(words)), str(len(words) + len(defaults)))
    return ("/bin/sh", "-c", RUN_EXECUTABLE, "ko-run", *counts, *words, *defaults)


async def _as_executable(image: GoOciImageFieldSet, settings: Settings) -> RunRequest:
    """The program for this machine, with `KO_DATA_PATH` and what the config says.

    An image that is not for this machine has no base for it either: `scratch` stands in.

    :raises KoPantsError: Go cannot build for this machine, or the build fails.
    """
    machine = machine_platform()
    platform = platform_to_run(wanted_platforms(image.address, image.platforms, settings), machine)
    if platform is None or machine.os != "linux":
        image = replace(image, base_image=GoOciImageBaseImageField("scratch", image.address))
    built = await built_image(_on(image, platform or machine))
    (part,) = built.platforms
    executable = part.executables[0]
    content = FileDigest(executable.file_digest.partition(":")[2], executable.size)
    path = f"ko-app/{executable.app_name}"
    digests = [await create_digest(CreateDigest([FileEntry(path, content, is_executable=True)]))]
    trees = [c for c in (x.layer.request.content for x in part.layers) if c.kind == _KODATA]
    config = json.loads(built.image.manifests[0].config)["config"]
    env = dict(text.partition("=")[::2] for text in config.get("Env") or ())
    env.pop("PATH", None)
    if trees:
        digests += [tree.inputs for tree in trees]
        digests.append(await create_digest(CreateDigest([Directory(_KODATA)])))
        env["KO_DATA_PATH"] = f"{{chroot}}/{_KODATA}"
    return RunRequest(
        digest=await merge_digests(MergeDigests(digests)),
        args=_executable_argv(built, f"{{chroot}}/{path}"),
        extra_env=env,
    )


@_uncacheable_rule
async def run_image(
    field_set: GoOciImageRunFieldSet,
    ko: KoSubsystem,
    settings: Settings,
    outside: GoEnvironment,
) -> RunRequest:
    """Choose how the image is run, and build what that needs.

    :raises KoPantsError: the engine that is wanted is not installed; whatever is wrong with the
        image.
    """
    variables = await environment_vars(EnvironmentVarsRequest(ENGINE_VARIABLES))
    engine = find_engine(ko.run_with, variables, "option [ko].run_with")
    (target,) = await targets_at(Addresses([field_set.address]))
    image = GoOciImageFieldSet.create(target)
    if engine is None:
        return await _as_executable(image, settings)
    run_args = (*ko.run_args, *(field_set.extra_run_args.value or ()))
    return await _in_container(engine, image, run_args, settings, outside)


def rules() -> list[object]:
    """Running, with the field set that tells Pants which targets can be run."""
    return [*collect_rules(), *GoOciImageRunFieldSet.rules()]
