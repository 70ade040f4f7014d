"""Options that say what a run tells, and in which files."""

from __future__ import annotations

from pants.option.option_types import BoolOption, IntOption, StrOption


class ReportOptions:
    """See `ko_pants.subsystem.KoSubsystem`."""

    image_refs = StrOption(
        default=None,
        help=(
            "A file for the references of all images that are published or up to date, one a line, "
            "as with ko's `--image-refs`: by digest, an index followed by its children. The path "
            "is relative to the build root. The file is written at the end of a run in which "
            "nothing failed.\n\n"
            "Default: none is written. Example: `dist/refs`."
        ),
    )
    report = StrOption(
        default=None,
        help=(
            "A file for what a run of `publish` did for all images together, as JSON: images, "
            "compiles and layers by outcome, requests, bytes and seconds. The path is relative to "
            "the build root.\n\n"
            "Default: none is written. Example: `dist/report.json`."
        ),
    )
    page = StrOption(
        default=None,
        help=(
            "A file for what a run of `publish` did, as an HTML page that needs no other file: "
            "every image with its layers, sizes and outcomes, and when each step was done. The "
            "path is relative to the build root.\n\n"
            "Default: none is written. Example: `dist/publish.html`."
        ),
    )
    progress_interval = IntOption(
        default=5,
        help=(
            "Seconds between two lines that say how far uploads and long processes are. Nothing is "
            "said of what takes less time. 0: no such lines."
        ),
    )
    full_digests = BoolOption(
        default=False,
        help=(
            "If true, the lines of `publish` show all 64 digits of a digest, and not only the "
            "first 12. `image_refs` and `--publish-output` always have all of them."
        ),
    )
