"""The fields that say where programs are compiled and layers are made."""

from __future__ import annotations

from pants.engine.target import StringField


class GoOciImageEnvironmentField(StringField):
    """Not Pants' own class: then Pants would run all of `package` there, variables included."""

    alias = "environment"
    help = (
        "The name of the environment (`[environments-preview].names`) in which the programs of the "
        "image are compiled and its layers are made: a `remote_environment`, or a "
        "`docker_environment`. All else, such as credentials and uploads, stays on this machine. "
        "See `[ko].toolchain`.\n\n"
        "Default: the local environment; all processes run on workers if `remote_execution` is set "
        "and no environment is named."
    )


class GoExecutableEnvironmentField(StringField):
    alias = "environment"
    help = (
        "The name of the environment (`[environments-preview].names`) in which the program is "
        "compiled. Default: that of the image."
    )
