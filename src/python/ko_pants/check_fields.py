"""The field of `go_oci_image` for the goal `check`."""

from __future__ import annotations

from pants.engine.target import BoolField


class GoOciImageSkipCheckField(BoolField):
    alias = "skip_check"
    default = False
    help = (
        "If true, `check` does not compile or vet the programs of this image. `[ko].skip_check` "
        "leaves out all images.\n\n"
        "Default: false. Example: `skip_check=True`."
    )
