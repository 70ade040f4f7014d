"""The fields that say where programs are compiled and layers are made."""

from __future__ import annotations

from typing import Optional

from pants.engine.addresses import Address
from pants.engine.target import InvalidFieldException, StringField


class _EnvironmentNameField(StringField):
    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None and not value.strip():
            raise InvalidFieldException(
                f"{address}, field `{cls.alias}`: found {value!r}; expected a name of "
                "[environments-preview].names, such as 'workers'; or leave the field out"
            )
        return value


class GoOciImageEnvironmentField(_EnvironmentNameField):
    """Not Pants' own class: then Pants would run all of `package` there, variables included."""

    alias = "environment"
    help = (
        "The name of the environment (`[environments-preview].names`) in which the programs of the "
        "image are compiled and its layers are made: a `remote_environment`, or a "
        "`docker_environment`. All else, such as credentials and uploads, stays on this machine. "
        "See `[ko].toolchain`.\n\n"
        "Default: the local environment; all processes run on workers if `remote_execution` is set "
        "and no environment is named. Example: `environment='workers'`."
    )


class GoExecutableEnvironmentField(_EnvironmentNameField):
    alias = "environment"
    help = (
        "The name of the environment (`[environments-preview].names`) in which the program is "
        "compiled.\n\n"
        "Default: that of the image. Example: `environment='workers'`."
    )
