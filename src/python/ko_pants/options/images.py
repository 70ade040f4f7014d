"""Options that say what images are made of, where a target does not say it."""

from __future__ import annotations

from pants.option.option_types import BoolOption, IntOption, StrListOption, StrOption


class ImageOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    config_path = StrOption(
        default=None,
        help=(
            "The `.ko.yaml`, or its directory, relative to the build root. What it says are "
            "defaults, below options and fields. An empty text means that none is read.\n\n"
            "Default: `$KO_CONFIG_PATH`, else `.ko.yaml` at the build root, if there is one. "
            "Example: `config/.ko.yaml`."
        ),
    )
    default_base_image = StrOption(
        default=None,
        help=(
            "The base image of targets without `base_image`: a reference, the address of an "
            "`oci_base_image`, `oci:<directory>` or `scratch`.\n\n"
            "Default: `$KO_DEFAULTBASEIMAGE`, else ko's `cgr.dev/chainguard/static:latest`. "
            "Example: `//images:static`."
        ),
    )
    default_platforms = StrListOption(
        default=[],
        help=(
            "The platforms of targets without `platforms`, as `os/arch[/variant]`, or `all`. "
            "Commas separate several, as in ko.\n\n"
            "Default: `$KO_DEFAULTPLATFORMS`, else `linux/amd64`. Example: `['linux/amd64', "
            "'linux/arm64']`."
        ),
    )
    layer_compression = StrOption(
        default="gzip",
        help="How layers are compressed: `gzip` (libdeflate), `zstd`, `none` or `estargz`.",
    )
    layer_compression_level = IntOption(
        default=None,
        help=(
            "The level of the compression: 1 to 12 for gzip and estargz, 1 to 22 for zstd.\n\n"
            "Default: 1 for gzip and estargz, 3 for zstd. Example: `9`."
        ),
    )
    debug = BoolOption(
        default=False,
        help=(
            "If true, images of targets without `debug` have the debugger Delve, as with ko's "
            "`--debug`. `--ko-debug` does it for one run."
        ),
    )
    disable_optimizations = BoolOption(
        default=False,
        help=(
            "If true, programs of targets without `disable_optimizations` are compiled for a "
            "debugger, as with ko's `--disable-optimizations`."
        ),
    )
