"""The registries that are configured, and which of them a target means.

The option `[ko].registries` and the field `registries` mean what they mean in Pants' docker backend
(`address`, `default`, `repository`, `extra_image_tags`, `skip_push`, `use_local_alias`; `@alias`).
Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import check_registry, hide_credentials

#: What stands for a registry in the names of images that are loaded on this machine, as in ko.
KO_LOCAL, KIND_LOCAL = "ko.local", "kind.local"
LOCAL_DOMAINS = (KO_LOCAL, KIND_LOCAL)

#: The value of a target's field `registries` that stands for every registry with `default`.
ALL_DEFAULT_REGISTRIES = "<all default registries>"

_KEYS = (
    "address",
    "default",
    "repository",
    "extra_image_tags",
    "skip_push",
    "use_local_alias",
)


@dataclass(frozen=True)
class Registry:
    """One entry of `[ko].registries`; without alias, an address that a target names itself."""

    address: str
    alias: str = ""
    default: bool = False
    repository: str = ""
    extra_image_tags: tuple[str, ...] = ()
    skip_push: bool = False
    use_local_alias: bool = False


def parse_registries(options: Mapping[str, Any]) -> tuple[Registry, ...]:
    """Read `[ko].registries`.

    :raises KoPantsError: an entry without address, with a key that does not exist, or with the
        address of another entry.
    """
    registries: list[Registry] = []
    aliases: dict[str, str] = {}
    for alias, entry in options.items():
        where = f"option [ko].registries, entry {alias!r}"
        if not isinstance(entry, Mapping) or not isinstance(entry.get("address"), str):
            raise KoPantsError(
                f'{where}: expected a table with an `address` such as "registry.example.com", '
                f"found {hide_credentials(repr(entry)):.100}"
            )
        unknown = sorted(set(entry) - set(_KEYS))
        if unknown:
            raise KoPantsError(
                f"{where}: unknown key {', '.join(unknown)}; expected some of " + ", ".join(_KEYS)
            )
        try:
            check_registry(entry["address"], entry["address"])
        except KoPantsError as e:
            raise KoPantsError(f"{where}, address: {e}") from None
        other = aliases.setdefault(entry["address"], alias)
        if other != alias:
            raise KoPantsError(
                f"{where}: its address {entry['address']} is also that of the entry {other!r}; "
                "expected one entry for each address"
            )
        registries.append(
            Registry(
                address=entry["address"],
                alias=alias,
                default=_boolean(entry.get("default", alias == "default"), f"{where}, default"),
                repository=_text(entry.get("repository") or "", f"{where}, repository"),
                extra_image_tags=_texts(
                    entry.get("extra_image_tags") or [], f"{where}, extra_image_tags"
                ),
                skip_push=_boolean(entry.get("skip_push", False), f"{where}, skip_push"),
                use_local_alias=_boolean(
                    entry.get("use_local_alias", False), f"{where}, use_local_alias"
                ),
            )
        )
    return tuple(registries)


def check_named_registries(values: Iterable[str]) -> None:
    """Make sure that each value can name a registry: an address, or an alias of whatever name.

    :raises KoPantsError: one cannot.
    """
    for value in values:
        if value == ALL_DEFAULT_REGISTRIES:
            continue
        if value in LOCAL_DOMAINS:
            raise KoPantsError(_no_registry(value))
        if value.startswith("@"):
            if not value[1:].strip():
                raise KoPantsError(
                    f"found {value!r}; expected the name of an entry of [ko].registries after the "
                    "`@`, such as '@prod'"
                )
            continue
        check_registry(value, value)


def _no_registry(domain: str) -> str:
    return (
        f"{domain} is no registry; set KO_DOCKER_REPO (or option [ko].docker_repo) to {domain} to "
        "load images on this machine"
    )


def chosen_registries(
    target: str, values: Iterable[str], registries: Sequence[Registry]
) -> tuple[Registry, ...]:
    """The registries that a target's field `registries` means, each once, in its order.

    :raises KoPantsError: there is no registry with such an alias, or it is one of
        `LOCAL_DOMAINS`; the text names `target`.
    """
    chosen = {r.address: r for r in _chosen(target, values, registries)}
    for domain in LOCAL_DOMAINS:
        if domain in chosen:
            raise KoPantsError(f"{target}, field `registries`: {_no_registry(domain)}")
    return tuple(chosen.values())


def _chosen(
    target: str, values: Iterable[str], registries: Sequence[Registry]
) -> Iterable[Registry]:
    by_key = {r.address: r for r in registries}
    by_key.update({f"@{r.alias}": r for r in registries})
    for value in values:
        if value == ALL_DEFAULT_REGISTRIES:
            yield from sorted((r for r in registries if r.default), key=lambda r: r.address)
        elif value in by_key:
            yield by_key[value]
        elif value.startswith("@"):
            known = ", ".join(f"@{r.alias}" for r in registries) or "none"
            raise KoPantsError(
                f"{target}, field `registries`: there is no registry {value}; "
                f"[ko].registries has {known}. Add [ko.registries.{value[1:]}] with an "
                "`address` to pants.toml, or name the address itself"
            )
        else:
            yield Registry(value)


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise KoPantsError(f"{where}: expected a string, found {value!r:.80}")
    return value


def _texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
        raise KoPantsError(f"{where}: expected a list of strings, found {value!r:.80}")
    return tuple(value)


def _boolean(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise KoPantsError(f"{where}: expected true or false, found {value!r}")
