"""`ko-cache`: show what KOCACHE holds, compare it with new layers, and delete what is old."""

from __future__ import annotations

from typing import Iterable

from pants.engine.console import Console
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.rules import goal_rule
from pants.engine.target import FilteredTargets
from pants.option.option_types import BoolOption, FloatOption, IntOption

from ko_pants.engine import built_images, layer_blobs
from ko_pants.kocache.cache import KoCache, Verdict
from ko_pants.kocache.counters import last_run
from ko_pants.products import Layer, LayerBlob, LayerBlobRequest
from ko_pants.rules.layer import cached_layer, layer_key, open_kocache
from ko_pants.rules.settings import Settings
from ko_pants.target_types import GoOciImageFieldSet

_DAY_SECONDS = 24 * 3600
_MEBIBYTE = 1 << 20


class KoCacheSubsystem(GoalSubsystem):
    name = "ko-cache"
    help = (
        "Show what KOCACHE holds: layers by Go build id, base images, and records of what images "
        "were made from.\n\n"
        "With `--verify`, the layers of the given targets are made again and compared with the "
        "maps. With `--prune`, what was not used for long is deleted, and what is too much. "
        "Example: `./pants ko-cache --verify ::`."
    )

    entries = BoolOption(default=False, help="If true, list every layer.")
    verify = BoolOption(
        default=False,
        help=(
            "If true, make the layers of the given `go_oci_image` targets and compare; correct "
            "what differs."
        ),
    )
    prune = BoolOption(
        default=False, help="If true, delete what is old or too much. ko's files stay."
    )
    max_age_days = FloatOption(
        default=90.0, help="With `--prune`: after how many days without use a layer is deleted."
    )
    max_size_mib = IntOption(
        default=256,
        help="With `--prune`: the size that is kept, in MiB. What was unused longest goes first.",
    )


class KoCacheGoal(Goal):
    subsystem_cls = KoCacheSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@goal_rule
async def ko_cache(
    console: Console, options: KoCacheSubsystem, settings: Settings, targets: FilteredTargets
) -> KoCacheGoal:
    """Show, verify or prune.

    :raises KoPantsError: KOCACHE is no usable directory.
    """
    cache = open_kocache(settings.kocache)
    cache.check_usable()
    exit_code = 0
    if options.verify:
        field_sets = [
            GoOciImageFieldSet.create(target)
            for target in targets
            if GoOciImageFieldSet.is_applicable(target)
        ]
        images = await built_images(field_sets)
        layers = list(dict.fromkeys(layer for built in images for layer in built.layers))
        blobs = await layer_blobs(LayerBlobRequest(layer.request) for layer in layers)
        wrong = _compare(console, cache, zip(layers, blobs))
        console.print_stdout(
            f"{len(layers)} layers of {len(images)} images made and compared, {wrong} were wrong"
        )
        exit_code = 1 if wrong else 0
    if options.prune:
        _prune(console, cache, options)
    if options.entries:
        _list_entries(console, cache)
    if not (options.verify or options.prune or options.entries):
        _show(console, cache)
    return KoCacheGoal(exit_code)


def _compare(console: Console, cache: KoCache, made: Iterable[tuple[Layer, LayerBlob]]) -> int:
    """Compare layers that were made again with the maps, and correct the maps.

    :returns: how many entries were wrong.
    """
    wrong = 0
    for layer, blob in made:
        key, rebuilt = layer_key(layer.request), cached_layer(blob, layer.request)
        verdict = cache.compare(key, rebuilt)
        if verdict is Verdict.SAME:
            continue
        wrong += verdict is not Verdict.ABSENT
        cache.record(key, rebuilt)
        done = "recorded" if verdict is Verdict.ABSENT else "corrected to"
        console.print_stdout(
            f"{verdict.value}: {key.import_path} {key.platform}; {done} {blob.descriptor.digest}"
        )
    return wrong


# What only this goal needs is imported here: every run imports this module.


def _prune(console: Console, cache: KoCache, options: KoCacheSubsystem) -> None:
    from ko_pants.kocache.pruning import prune

    max_age_seconds = options.max_age_days * _DAY_SECONDS
    result = prune(cache.root, max_age_seconds, options.max_size_mib * _MEBIBYTE)
    console.print_stdout(
        f"pruned {result.removed_files} files ({_mebibytes(result.removed_bytes)}); "
        f"{_mebibytes(result.kept_bytes)} are left"
    )


def _list_entries(console: Console, cache: KoCache) -> None:
    from ko_pants.kocache.inspection import inspect_entries

    for entry in inspect_entries(cache.root):
        digest = entry.layer.descriptor.digest if entry.layer else "no descriptor"
        console.print_stdout(
            f"{entry.state} {entry.import_path} {entry.platform} {entry.diff_id} -> {digest}"
        )


def _show(console: Console, cache: KoCache) -> None:
    from ko_pants.explanation.upkeep import measure_records
    from ko_pants.kocache.inspection import measure_usage

    usage = measure_usage(cache.root)
    console.print_stdout(f"KOCACHE: {cache.root.path}")
    console.print_stdout(
        f"layers: {usage.layers} of ours, {usage.foreign} of ko's, {usage.damaged} damaged, in "
        f"{usage.map_files} map files ({_mebibytes(usage.map_bytes)})"
    )
    console.print_stdout(
        f"base images: {usage.contents} manifests and configs ({_mebibytes(usage.content_bytes)})"
    )
    records = measure_records(cache.root)
    if records.images:
        console.print_stdout(
            f"records of what {records.images} images were made from ({_mebibytes(records.bytes)})"
        )
    if usage.ko_bytes:
        console.print_stdout(f"executables that ko keeps: {_mebibytes(usage.ko_bytes)}")
    last = last_run(cache.root)
    if last is not None:
        console.print_stdout(
            f"last run that asked: {last.hits} hits ({last.foreign} of another producer), "
            f"{last.misses} misses ({last.half_hits} of them with a known diffID), "
            f"{last.records} recorded"
        )


def _mebibytes(size: int) -> str:
    return f"{size / _MEBIBYTE:.2f} MiB"
