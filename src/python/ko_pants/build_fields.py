"""Fields that decide what goes into `go build`: templates in them, and what a debugger needs."""

from __future__ import annotations

import re
from typing import Dict, Iterable, Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    AsyncFieldMixin,
    DictStringToStringField,
    InvalidFieldException,
    StringField,
    StringSequenceField,
    TriBoolField,
)
from pants.util.frozendict import FrozenDict

from ko_pants.errors import KoPantsError
from ko_pants.golang.templates import template_keys

# The first element of what can be downloaded has a dot.
_IMPORT_PATH = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[A-Za-z0-9._~+-]+)*")

TEMPLATES_HELP = (
    "Templates are filled in, as in ko: `{{.Env.NAME}}` (the environment of Pants), "
    "`{{.GoEnv.NAME}}` (`go env`), `{{.Git.Tag}}`, `{{.Git.ShortCommit}}` and others, "
    "`{{.Date}}`, `{{.Timestamp}}`."
)


class TemplateSequenceField(StringSequenceField):
    """A list of strings, in which templates are filled in."""

    @classmethod
    def compute_value(
        cls, raw_value: Optional[Iterable[str]], address: Address
    ) -> Optional[tuple[str, ...]]:
        value = super().compute_value(raw_value, address)
        _check_templates(value or (), f"{address}, field `{cls.alias}`")
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
        "If true, the image has the debugger Delve at `/ko-app/dlv`, which runs the program and "
        "waits for a client on port 40000, as ko's `--debug`. Implies `disable_optimizations`. "
        "Only for linux/amd64 and linux/arm64.\n\n"
        "Default: `[ko].debug`."
    )


class GoOciImageDelveField(StringField, AsyncFieldMixin):
    alias = "delve"
    help = (
        "The address of Delve for `debug`: a target that `binary` takes too, such as a "
        "`go_executable`.\n\n"
        "If left out, `github.com/go-delve/delve/cmd/dlv` is compiled in the version that the "
        "go.mod of the program requires: `go get -tool github.com/go-delve/delve/cmd/dlv`."
    )


class GoOciImageDisableOptimizationsField(TriBoolField):
    alias = "disable_optimizations"
    help = (
        "If true, the programs of the image are compiled for a debugger, with "
        "`-gcflags='all=-N -l'`, as with ko's `--disable-optimizations`.\n\n"
        "Default: `[ko].disable_optimizations`."
    )


class GoExecutablePackageField(StringField):
    alias = "package"
    help = (
        "In place of `main`: the import path of a main package of a module that go.mod requires, "
        "for example `github.com/grpc-ecosystem/grpc-health-probe`. The go.mod is that of the "
        "directory of the BUILD file, or the nearest one above."
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


def _check_templates(texts: Iterable[str], where: str) -> None:
    try:
        template_keys(texts)
    except KoPantsError as e:
        raise InvalidFieldException(f"{where}: {e}") from None
