"""Fields that decide what goes into `go build`, and the templates in them."""

from __future__ import annotations

from typing import Dict, Iterable, Optional

from pants.engine.addresses import Address
from pants.engine.target import (
    DictStringToStringField,
    InvalidFieldException,
    StringSequenceField,
)
from pants.util.frozendict import FrozenDict

from ko_pants.errors import KoPantsError
from ko_pants.golang.templates import template_keys

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


def _check_templates(texts: Iterable[str], where: str) -> None:
    try:
        template_keys(texts)
    except KoPantsError as e:
        raise InvalidFieldException(f"{where}: {e}") from None
