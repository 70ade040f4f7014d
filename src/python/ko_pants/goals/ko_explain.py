"""`ko-explain`: why an image was rebuilt, and what would be rebuilt now."""

from __future__ import annotations

import json
import os
from typing import Sequence

from pants.base.build_root import BuildRoot
from pants.engine.console import Console
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.rules import goal_rule
from pants.engine.target import FilteredTargets, Target
from pants.option.option_types import StrOption

from ko_pants.engine import listed_inputs
from ko_pants.errors import KoPantsError
from ko_pants.explanation.record import ImageRecord
from ko_pants.explanation.store import RECORDS
from ko_pants.rules.current_inputs import current_inputs
from ko_pants.rules.image_names import destinations_of, image_names
from ko_pants.rules.record_keeping import forget, image_place, open_records
from ko_pants.rules.settings import GoEnvironment, Settings
from ko_pants.target_types import GoOciImageFieldSet

_TEXT, _JSON = "text", "json"


class KoExplainSubsystem(GoalSubsystem):
    name = "ko-explain"
    help = (
        "Say why a `go_oci_image` was rebuilt, and what a publish would rebuild now.\n\n"
        "The last publish is compared with the one before, and the repository as it is now with "
        "the last publish. Nothing is compiled and nothing is pushed. Example: `./pants "
        "ko-explain cmd/app:app`."
    )

    format = StrOption(
        default=_TEXT,
        help=(
            "How to print it: `text`, or `json` for programs. Example: `./pants ko-explain "
            "--format=json cmd/app:app`."
        ),
    )


class KoExplainGoal(Goal):
    subsystem_cls = KoExplainSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


def _images(targets: Sequence[Target]) -> list[Target]:
    """The images among the given targets.

    :raises KoPantsError: there is none.
    """
    images = [target for target in targets if GoOciImageFieldSet.is_applicable(target)]
    if images:
        return sorted(images, key=lambda target: target.address)
    found = ", ".join(f"{t.address} (a `{t.alias}`)" for t in targets)
    raise KoPantsError(
        f"ko-explain: found {found or 'no target'}; expected a `go_oci_image`, for example "
        "`./pants ko-explain cmd/app:app`"
    )


@goal_rule
async def ko_explain(
    console: Console,
    options: KoExplainSubsystem,
    settings: Settings,
    outside: GoEnvironment,
    build_root: BuildRoot,
    targets: FilteredTargets,
) -> KoExplainGoal:
    """Compare records with each other, and with what the images would be made from now.

    :raises KoPantsError: no image is given, there is no such format, or something is wrong with an
        image that is found out without a compile.
    """
    # What only this goal needs: every run imports this module.
    from ko_pants.explanation.explaining import Explanation

    if options.format not in (_TEXT, _JSON):
        raise KoPantsError(
            f"option [ko-explain].format: there is no format {options.format!r}; expected "
            f"{_TEXT} or {_JSON}"
        )
    root, kocache = build_root.path, settings.kocache
    found: list[Explanation] = []
    for target in _images(list(targets)):
        field_set = GoOciImageFieldSet.create(target)
        address = str(target.address)
        inputs, import_path = await current_inputs(field_set, settings, outside, root)
        names = await image_names(field_set, outside, settings)
        where = destinations_of(names, settings, import_path=import_path)
        place = image_place(target.address, where, root)
        history = open_records(kocache).history(place)
        if history.last is None:
            forget(kocache, place)
        now = ImageRecord(address, (await listed_inputs(inputs)).inputs)
        directory = os.path.join(kocache, RECORDS)
        found.append(Explanation(address, place.repositories, history, now, directory))
    if options.format == _JSON:
        console.print_stdout(json.dumps([e.to_json() for e in found], indent=2))
    else:
        console.print_stdout("\n\n".join(e.to_text() for e in found))
    return KoExplainGoal(0)
