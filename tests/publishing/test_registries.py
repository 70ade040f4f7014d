"""The option `[ko].registries`, and which registries a target means."""

from __future__ import annotations

import pytest

from ko_pants.errors import KoPantsError
from ko_pants.publishing.registries import Registry, chosen_registries, parse_registries


def test_the_option_as_a_table() -> None:
    assert parse_registries(
        {
            "prod": {
                "address": "registry.example.com",
                "default": True,
                "repository": "shop/{name}",
                "extra_image_tags": ["stable"],
                "skip_push": "false",
            },
            "default": {"address": "localhost:5000"},
            "other": {"address": "other.example.com", "skip_push": "True"},
            "local": {"address": "local.example.com", "use_local_alias": True},
        }
    ) == (
        Registry("registry.example.com", "prod", True, "shop/{name}", ("stable",), False),
        # As in Pants' docker backend: the alias `default` is one.
        Registry("localhost:5000", "default", True),
        Registry("other.example.com", "other", False, skip_push=True),
        Registry("local.example.com", "local", use_local_alias=True),
    )


def test_two_entries_with_one_address() -> None:
    with pytest.raises(KoPantsError) as e:
        parse_registries({"a": {"address": "r.example.com"}, "b": {"address": "r.example.com"}})
    for word in ("[ko].registries", "'a'", "'b'", "r.example.com"):
        assert word in str(e.value)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("registry.example.com", ["expected a table", "`address`"]),
        ({}, ["expected a table", "`address`"]),
        ({"address": None}, ["`address`"]),
        ({"address": "r.example.com", "tags": []}, ["unknown key tags", "extra_image_tags"]),
        ({"address": "not a host"}, ["'not a host'", "host[:port]"]),
        ({"address": "https://r.example.com"}, ["host[:port]"]),
        ({"address": "r.example.com/team"}, ["host[:port]"]),
        ({"address": "r.example.com", "default": "yes"}, ["default", "true or false", "'yes'"]),
        ({"address": "r.example.com", "skip_push": 1}, ["skip_push", "true or false", "1"]),
        ({"address": "r.example.com", "extra_image_tags": "stable"}, ["extra_image_tags"]),
        ({"address": "r.example.com", "extra_image_tags": 3}, ["extra_image_tags"]),
    ],
    ids=str,
)
def test_a_mistake_in_the_option_names_the_entry(entry: object, words: list[str]) -> None:
    with pytest.raises(KoPantsError) as e:
        parse_registries({"prod": entry})
    for word in ("[ko].registries", "'prod'", *words):
        assert word in str(e.value)


@pytest.mark.parametrize(
    "entry",
    [
        {"address": "user:s3cret@r.example.com"},
        {"address": "https://user:s3cret@r.example.com"},
        {"adress": "https://user:s3cret@r.example.com"},
        "https://user:s3cret@r.example.com",
    ],
)
def test_credentials_in_the_option_are_not_shown(entry: object) -> None:
    with pytest.raises(KoPantsError) as e:
        parse_registries({"prod": entry})
    assert "'prod'" in str(e.value)
    assert "s3cret" not in str(e.value)


# Clashes


def test_a_registry_is_meant_by_alias_or_by_address() -> None:
    prod = Registry("prod.example.com", alias="prod")
    for value in ("@prod", "prod.example.com"):
        assert chosen_registries("//:x", [value], [prod]) == (prod,)
    assert chosen_registries("//:x", ["other.example.com"], [prod]) == (
        Registry("other.example.com"),
    )
