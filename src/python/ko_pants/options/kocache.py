"""Options of KOCACHE."""

from __future__ import annotations

from pants.option.option_types import BoolOption, StrOption


class KocacheOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    kocache = StrOption(
        default=None,
        help=(
            "The directory of the KOCACHE maps.\n\n"
            "Default: `$KOCACHE`, else a directory in Pants' named caches. Example: "
            "`/var/cache/kocache`."
        ),
    )
    trust_foreign_layers = BoolOption(
        default=False,
        help=(
            "If true, a layer descriptor is used that another producer (ko, another version of the "
            "compressor) left in KOCACHE. It is off by default, so that the same sources give the "
            "same image digest on every machine."
        ),
    )
