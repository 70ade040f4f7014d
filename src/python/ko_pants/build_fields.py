"""Fields that decide what goes into `go build`: templates in them, and what a debugger needs."""

from __future__ import annotations

import posixpath
import re
from typing import Dict, Iterable, Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    DictStringToStringField,
    InvalidFieldException,
    StringField,
    StringSequenceField,
    TriBoolField,
)
from pants.util.frozendict import FrozenDict

from ko_pants.address_fields import AddressField
from ko_pants.errors import KoPantsError
from ko_pants.field_checks import in_field
from ko_pants.golang.templates import template_keys
from ko_pants.oci.platform import Platform

# The first element of what can be downloaded has a dot.
# Source: `doesPlatformSupportDebugging` in ko's pkg/build/gobuild.go.
_DEBUGGED_ARCHITECTURES = ("amd64", "arm64")
_IMPORT_PATH = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._~+-]+)*")

TEMPLATES_HELP = (
    "Templates are filled in, as in ko: `{{.Env.NAME}}` (the environment of Pants), "
    "`{{.GoEnv.NAME}}` (`go env`), `{{.Git.Tag}}`, `{{.Git.ShortCommit}}` and others, "
    "`{{.Date}}`, `{{.Timestamp}}`."
)


class TemplateSequenceField(StringSequenceField):
    """A list of strings, in which templates are filled in."""

    @classmethod
    def check(cls, values: tuple[str, ...], where: str) -> None:
        """Refuse what cannot be used, as far as that is known before templates are filled in.

        :raises KoPantsError: the text begins with `where`.
        """

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        value = super().compute_value(raw_value, address)
        where = f"{address}, field `{cls.alias}`"
        _check_templates(value or (), where)
        in_field(cls.check, value or (), where)
        return value


class TemplateDictField(DictStringToStringField):
    """A dictionary, in whose values templates are filled in."""

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Dict[str, str]], address: Address
    ) -> Optional[FrozenDict[str, str]]:
        value = super().compute_value(raw_value, address)
        for name, text in (value or {}).items():
            _check_templates([text], f"{address}, field `{cls.alias}`, {name!r}")
        return value


class GoOciImageDebugField(TriBoolField):
    alias = "debug"
    help = (
        "If true, the image has the debugger Delve at `/ko-app/dlv`, as with ko's `--debug`. Delve "
        "runs the program and waits for a client on port 40000. The field implies "
        "`disable_optimizations`, and works for linux/amd64 and linux/arm64 alone.\n\n"
        "Default: `[ko].debug`. Example: `debug=True`."
    )


class GoOciImageDelveField(AddressField):
    alias = "delve"
    help = (
        "The address of the Delve that `debug` puts into the image: a target that `binary` takes "
        "too.\n\n"
        "Default: `github.com/go-delve/delve/cmd/dlv`, compiled in the version that the go.mod of "
        "the program requires (`go get -tool github.com/go-delve/delve/cmd/dlv`). Example: "
        "`delve='//tools:dlv'`."
    )


class GoOciImageDisableOptimizationsField(TriBoolField):
    alias = "disable_optimizations"
    help = (
        "If true, the programs of the image are compiled for a debugger, with `-gcflags='all=-N "
        "-l'`, as with ko's `--disable-optimizations`.\n\n"
        "Default: `[ko].disable_optimizations`. Example: `disable_optimizations=True`."
    )


class GoExecutablePackageField(StringField):
    alias = "package"
    help = (
        "The import path of a main package of another module, in place of `main`. The go.mod in "
        "the directory of the BUILD file, or the nearest one above, has to require the module.\n\n"
        "Default: none. Example: `package='github.com/grpc-ecosystem/grpc-health-probe'`."
    )

    @classmethod
    def compute_value(cls, raw_value: Optional[str], address: Address) -> Optional[str]:
        value = super().compute_value(raw_value, address)
        if value is not None and not _IMPORT_PATH.fullmatch(value):
            raise InvalidFieldException(
                f"{address}, field `{cls.alias}`: expected an import path of another module, "
                f"without a version, such as `example.com/tools/cmd/tool`; found {value!r}"
            )
        return value


def check_main(directory: str, main: str) -> None:
    """Make sure that `main` is a directory of the repository.

    :param directory: that of the BUILD file.
    :raises KoPantsError: it is not.
    """
    path = posixpath.normpath(posixpath.join(directory, main))
    if main.startswith("/") or f"{path}/".startswith("../"):
        raise KoPantsError(
            "expected a directory relative to the BUILD file, within the build root; "
            f"found {main!r}"
        )


def check_debug_platforms(platforms: Iterable[Platform], where: str) -> None:
    """Make sure that there is a debugger for each platform.

    :param where: target and field, or option.
    :raises KoPantsError: there is none for some; the text begins with `where`.
    """
    others = [
        str(platform)
        for platform in platforms
        if platform.os != "linux" or platform.architecture not in _DEBUGGED_ARCHITECTURES
    ]
    if others:
        allowed = " and ".join(f"linux/{name}" for name in _DEBUGGED_ARCHITECTURES)
        raise KoPantsError(
            f"{where}: found the platforms {', '.join(others)}; a debug image can be for {allowed} "
            "alone. Leave out the others in `platforms`, or make a target of its own for debugging"
        )


def _check_templates(texts: Iterable[str], where: str) -> None:
    try:
        template_keys(texts)
    except KoPantsError as e:
        raise InvalidFieldException(f"{where}: {e}") from None
