"""`ko-resolve`: push the images that manifests name, and print the manifests.

As `ko resolve` does.
"""

from __future__ import annotations

import os
import posixpath

from pants.base.build_root import BuildRoot
from pants.engine.addresses import Address
from pants.engine.console import Console
from pants.engine.fs import PathGlobs
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.rules import goal_rule
from pants.engine.target import FilteredTargets
from pants.option.option_types import BoolOption, StrListOption, StrOption

from ko_pants.engine import digest_of_globs, manifests, paths_of_globs, publish_plans
from ko_pants.errors import KoPantsError
from ko_pants.goals.publish_manifests import publications_of_images, published_stream
from ko_pants.interruption import InterruptedRunError
from ko_pants.kubernetes.selectors import parse_selector
from ko_pants.kubernetes.streams import joined
from ko_pants.literal_globs import literal_glob
from ko_pants.products import Manifests, ManifestsRequest, PublishPlanRequest
from ko_pants.publishing.uploading import Report
from ko_pants.rules.manifest_stream import (
    check_destinations,
    manifests_of,
    plan_manifests,
    warn_of_templates,
)
from ko_pants.rules.publish_run import RunOfImages
from ko_pants.rules.session_terminal import SessionTerminal
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import KubernetesManifestsFieldSet

_ENDINGS = ("yaml", "yml", "json")


class KoResolveSubsystem(GoalSubsystem):
    name = "ko-resolve"
    help = (
        "Push the images that Kubernetes manifests name, and print the manifests with their "
        "digests, as `ko resolve` does.\n\n"
        "The manifests are those of the given `kubernetes_manifests` targets, and those of "
        "`--files`. Example: `./pants ko-resolve deploy: | kubectl apply -f -`."
    )

    files = StrListOption(
        help=(
            "Manifests that no target owns: files (`.yaml`, `.yml`, `.json`), or directories with "
            "all such files in them and below, relative to the build root. Example: "
            "`--files=config/`."
        ),
    )
    selector = StrOption(
        default=None,
        help=(
            "A label selector for what `--files` names, as `-l` of `ko resolve`.\n\n"
            "Default: all objects. Example: `--selector=app=web`."
        ),
    )
    push = BoolOption(
        default=True,
        help="If true, push the images. If false, plan their digests and push nothing.",
    )


class KoResolveGoal(Goal):
    subsystem_cls = KoResolveSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


def _printer(console: Console) -> Report:
    """Shows lines of progress. No process of Pants waits here, which would be interrupted."""
    terminal = SessionTerminal()

    def report(line: str) -> None:
        if terminal.is_over():
            raise InterruptedRunError
        if line:
            console.print_stderr(line)

    return report


async def _manifests_of_files(options: KoResolveSubsystem, root: str) -> Manifests:
    """What `--files` names.

    :raises KoPantsError: something of it does not exist, or the selector is malformed.
    """
    owner = "option [ko-resolve].files"
    globs: list[str] = []
    for entry in options.files:
        path = posixpath.normpath(entry)
        if path.startswith(("/", "..")):
            raise KoPantsError(f"{owner}: expected a path below the build root; found {entry!r}")
        if os.path.isdir(os.path.join(root, path)):
            prefix = "" if path == "." else f"{literal_glob(path)}/"
            globs += [f"{prefix}**/*.{ending}" for ending in _ENDINGS]
            continue
        found = await paths_of_globs(PathGlobs([literal_glob(path)]))
        if not found.files:
            raise KoPantsError(
                f"{owner}: there is no file or directory {entry!r} below the build root, or Pants "
                "ignores it ([GLOBAL].pants_ignore)"
            )
        globs.append(literal_glob(path))
    try:
        parse_selector(options.selector or "")
    except KoPantsError as e:
        raise KoPantsError(f"option [ko-resolve].selector: {e}") from None
    digest = await digest_of_globs(PathGlobs(globs))
    address = Address("", target_name="ko-resolve")
    return await manifests(ManifestsRequest(owner, address, digest, options.selector or ""))


@goal_rule
async def ko_resolve(
    console: Console,
    options: KoResolveSubsystem,
    targets: FilteredTargets,
    run: RunOfImages,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
) -> KoResolveGoal:
    """Print all manifests as one stream, when their images are there. Else nothing is printed."""
    field_sets = [
        KubernetesManifestsFieldSet.create(target)
        for target in sorted(targets, key=lambda target: target.address)
        if KubernetesManifestsFieldSet.is_applicable(target)
    ]
    found = [(await manifests_of(f), f.registry.value or "") for f in field_sets]
    if options.files:
        found.append((await _manifests_of_files(options, build_root.path), ""))
    if not found:
        console.print_stderr(
            "No `kubernetes_manifests` among the given targets, and no --ko-resolve-files: nothing "
            "to resolve."
        )
    for one, registry in found:
        warn_of_templates(one)
        await check_destinations(one, registry, settings, outside)
    # All images at once; below, each is there already.
    addresses = sorted({address for one, _ in found for address in one.images.values()})
    image_plans = await publish_plans(PublishPlanRequest(address) for address in addresses)
    plans = [await plan_manifests(one, registry, settings, outside) for one, registry in found]
    streams = [plan.content for plan in plans]
    if options.push:
        images = await publications_of_images(image_plans)
        streams = [published_stream(plan, images, settings) for plan in plans]
        numbers = [image.number for image in images if image.number is not None]
        run.publishing.tags.move(numbers, _printer(console))
    console.write_stdout(joined(stream.decode() for stream in streams))
    return KoResolveGoal(0)
