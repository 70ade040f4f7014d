"""`ko-lock`: write what the tags of base images name now to their lock files."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pants.base.build_root import BuildRoot
from pants.engine.console import Console
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.rules import goal_rule
from pants.engine.target import FilteredTargets, Target
from pants.option.option_types import BoolOption

from ko_pants.base_image_fields import OciBaseImageLockfileField, OciBaseImageReferenceField
from ko_pants.disk.replacement import replace_file
from ko_pants.engine import base_image
from ko_pants.errors import KoPantsError
from ko_pants.oci.base_lock import lock_changes, lock_content, lock_of
from ko_pants.products import BaseImageRequest, LockFileRequest
from ko_pants.rules.lock_file import lock_file_on_disk


class KoLockSubsystem(GoalSubsystem):
    name = "ko-lock"
    help = (
        "Lock base images: write the digests that their tags name now to their lock files.\n\n"
        "The registry is asked for the tags of the given `oci_base_image` targets. What changed is "
        "shown. Example: `./pants ko-lock images:static`."
    )

    check = BoolOption(
        default=False,
        help="If true, write nothing; exit with 1 if a lock file is not what the registry says.",
    )


class KoLockGoal(Goal):
    subsystem_cls = KoLockSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@dataclass(frozen=True)
class _Refresh:
    """What a lock file is to become.

    :param content: None if it stays as it is.
    :param lines: what to say of it.
    """

    path: str
    content: bytes | None
    lines: tuple[str, ...]


async def _refresh(target: Target, root: str) -> _Refresh:
    """Compare the lock file of a target with the registry.

    :raises KoPantsError: the tag names nothing, the registry cannot be reached, or there is no
        image in it that Go can build on.
    """
    path = target[OciBaseImageLockfileField].file_path
    image = target[OciBaseImageReferenceField].value
    try:
        new = lock_of((await base_image(BaseImageRequest(image, ()))).base)
    except KoPantsError as e:
        raise KoPantsError(f"{target.address}, field `image`: {e}") from None
    found = lock_file_on_disk(LockFileRequest(str(target.address), path), root)
    if found.lock is None:
        # Missing or damaged; in both cases all of it is new.
        lines = [f"digest: {new.digest}", *(f"{p.platform}: {p.digest}" for p in new.platforms)]
    else:
        lines = lock_changes(found.lock, new)
    return _Refresh(path, lock_content(new) if lines else None, tuple(lines))


def _same_lock_file(targets: list[Target]) -> str:
    """The problem of two targets with one lock file; empty if there is none."""
    owners: dict[str, Target] = {}
    for target in targets:
        path = target[OciBaseImageLockfileField].file_path
        other = owners.setdefault(path, target)
        if other is not target:
            return (
                f"{other.address} and {target.address}, field `lockfile`: both have the lock file "
                f"{path}; expected one for each"
            )
    return ""


@goal_rule
async def ko_lock(
    console: Console, options: KoLockSubsystem, targets: FilteredTargets, build_root: BuildRoot
) -> KoLockGoal:
    """Refresh each lock file by itself: one that fails keeps no other from being written."""
    bases = [target for target in targets if target.has_field(OciBaseImageReferenceField)]
    if not bases:
        console.print_stdout("No `oci_base_image` among the given targets: nothing to lock.")
    problem = _same_lock_file(bases)
    if problem:
        raise KoPantsError(problem)
    exit_code = 0
    for target in bases:
        try:
            refresh = await _refresh(target, build_root.path)
            if refresh.content is None:
                console.print_stdout(f"- {target.address}: {refresh.path} is up to date")
                continue
            if options.check:
                exit_code = 1
            else:
                replace_file(os.path.join(build_root.path, refresh.path), refresh.content)
        except KoPantsError as e:
            exit_code = 1
            console.print_stderr(f"{console.red('✕')} {e}")
            continue
        done = "is out of date" if options.check else "written"
        console.print_stdout(
            f"{'✕' if options.check else '✓'} {target.address}: {refresh.path} {done}"
        )
        for line in refresh.lines:
            console.print_stdout(f"    {line}")
    return KoLockGoal(exit_code)
