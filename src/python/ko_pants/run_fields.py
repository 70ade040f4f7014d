"""The field of `go_oci_image` for the goal `run`."""

from __future__ import annotations

from pants.engine.target import StringSequenceField


class GoOciImageExtraRunArgsField(StringSequenceField):
    alias = "extra_run_args"
    help = (
        "Arguments of `docker run` or `podman run` for this image in `run`, for example "
        "`['--publish=8080:8080']`, after those of `[ko].run_args`. As in Pants' docker backend."
    )
