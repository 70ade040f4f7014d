"""The field of `go_oci_image` for the goal `run`."""

from __future__ import annotations

from pants.engine.target import StringSequenceField


class GoOciImageExtraRunArgsField(StringSequenceField):
    alias = "extra_run_args"
    help = (
        "Arguments of `docker run` or `podman run` for this image in `run`, after those of "
        "`[ko].run_args`. As in Pants' docker backend.\n\n"
        "Default: none. Example: `extra_run_args=['--publish=8080:8080']`."
    )
