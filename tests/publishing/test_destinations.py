"""Names: from a target's fields and `[ko].registries` to references."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ko_pants.errors import KoPantsError
from ko_pants.oci.reference import Reference
from ko_pants.publishing.destinations import (
    Destination,
    ImageNames,
    check_distinct,
    destinations,
    needs_built_facts,
)
from ko_pants.publishing.placeholders import BuiltFacts
from ko_pants.publishing.registries import ALL_DEFAULT_REGISTRIES, Registry

PROD = Registry("prod.example.com", alias="prod", default=True)
TEAM = Registry("team.example.com:5000", alias="team", repository="team/{name}")
NIGHTLY = Registry("nightly.example.com", alias="nightly", extra_image_tags=("nightly", "v1"))
MIRROR = Registry("mirror.example.com", alias="mirror", skip_push=True)
REGISTRIES = (PROD, TEAM, NIGHTLY, MIRROR)

IMAGE = ImageNames(
    target="shop/cart:server",
    name="server",
    path="shop/cart",
    repository="",
    registries=(ALL_DEFAULT_REGISTRIES,),
    tags=("v1",),
)


def found(
    names: ImageNames = IMAGE,
    registries: tuple[Registry, ...] = REGISTRIES,
    default_repository: str = "{name}",
    docker_repo: str = "",
) -> tuple[Destination, ...]:
    return destinations(
        names,
        registries,
        default_repository=default_repository,
        docker_repo=docker_repo,
        layout="dist/oci",
    )


def references(*arguments: Any, **keywords: Any) -> list[str]:
    return [name for d in found(*arguments, **keywords) for name in d.names]


# Registries


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((ALL_DEFAULT_REGISTRIES,), ["prod.example.com/server:v1"]),
        (("@prod",), ["prod.example.com/server:v1"]),
        (("@team",), ["team.example.com:5000/team/server:v1"]),
        (
            ("@nightly",),
            ["nightly.example.com/server:v1", "nightly.example.com/server:nightly"],
        ),
        # By address, known or not.
        (("team.example.com:5000",), ["team.example.com:5000/team/server:v1"]),
        (("localhost:5000",), ["localhost:5000/server:v1"]),
        # In the order of the field.
        (
            ("@team", "@prod", "localhost:5000"),
            [
                "team.example.com:5000/team/server:v1",
                "prod.example.com/server:v1",
                "localhost:5000/server:v1",
            ],
        ),
        (
            (ALL_DEFAULT_REGISTRIES, "localhost:5000"),
            ["prod.example.com/server:v1", "localhost:5000/server:v1"],
        ),
        ((), ["oci:dist/oci:server:v1"]),
    ],
)
def test_where_a_target_is_published(chosen: tuple[str, ...], expected: list[str]) -> None:
    assert references(replace(IMAGE, registries=chosen)) == expected


def test_several_defaults_are_all_meant() -> None:
    both = (replace(TEAM, default=True), PROD)
    assert references(registries=both) == [
        "prod.example.com/server:v1",
        "team.example.com:5000/team/server:v1",
    ]


def test_a_registry_named_twice_is_one_destination() -> None:
    names = replace(IMAGE, registries=("@prod", ALL_DEFAULT_REGISTRIES, "prod.example.com"))
    assert references(names) == ["prod.example.com/server:v1"]


def test_without_a_registry_the_layout_is_meant() -> None:
    (destination,) = found(registries=())
    assert destination.names == ("oci:dist/oci:server:v1",)
    assert destination.layout == "dist/oci"
    assert not destination.registry


@pytest.mark.parametrize(
    ("docker_repo", "expected"),
    [
        ("registry.example.com", "registry.example.com/server:v1"),
        ("registry.example.com/", "registry.example.com/server:v1"),
        ("registry.example.com/team/a", "registry.example.com/team/a/server:v1"),
        ("localhost:5000/team", "localhost:5000/team/server:v1"),
        ("localhost", "localhost/server:v1"),
        ("ko.local", "ko.local/server:v1"),
        ("ko.local/team", "ko.local/team/server:v1"),
        ("kind.local", "kind.local/server:v1"),
        # As ko: no host means Docker Hub.
        ("team", "index.docker.io/team/server:v1"),
        ("team/sub", "index.docker.io/team/sub/server:v1"),
    ],
)
def test_ko_docker_repo_stands_in_where_no_registry_is_named(
    docker_repo: str, expected: str
) -> None:
    assert references(registries=(), docker_repo=docker_repo) == [expected]


def test_a_registry_wins_over_ko_docker_repo() -> None:
    assert references(docker_repo="registry.example.com") == ["prod.example.com/server:v1"]


# Repositories


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{name}", "server"),
        ("{directory}", "cart"),
        ("{parent_directory}/{directory}", "shop/cart"),
        ("{path}", "shop/cart"),
        ("{full_directory}", "shop/cart"),
        ("{path}/{name}", "shop/cart/server"),
        ("fixed", "fixed"),
        ("x-{name}-y", "x-server-y"),
        ("{default_repository}/sub", "base/server/sub"),
        ("/{name}/", "server"),
    ],
)
def test_placeholders(template: str, expected: str) -> None:
    names = replace(IMAGE, repository=template)
    assert references(names, default_repository="base/{name}") == [
        f"prod.example.com/{expected}:v1"
    ]


def test_whose_repository_counts() -> None:
    names = replace(IMAGE, registries=("@prod", "@team"), repository="own")
    assert references(names) == [
        "prod.example.com/own:v1",
        "team.example.com:5000/team/server:v1",
    ]


def test_a_registry_may_build_on_the_targets_own() -> None:
    registry = Registry("r.example.com", default=True, repository="mirror/{target_repository}")
    assert references(replace(IMAGE, repository="own"), (registry,)) == [
        "r.example.com/mirror/own:v1"
    ]


@pytest.mark.parametrize(
    ("repository", "expected"), [("own-{name}", "own-server"), ("", "base/server")]
)
def test_a_target_repository_is_filled_in_or_the_default(repository: str, expected: str) -> None:
    registry = Registry("r.example.com", default=True, repository="{target_repository}/x")
    names = replace(IMAGE, repository=repository)
    assert references(names, (registry,), default_repository="base/{name}") == [
        f"r.example.com/{expected}/x:v1"
    ]


def test_a_target_at_the_build_root_has_its_name_for_a_path() -> None:
    names = replace(IMAGE, path="", repository="{path}/{directory}")
    assert references(names) == ["prod.example.com/server/server:v1"]


def test_repositories_are_lower_case() -> None:
    assert references(replace(IMAGE, name="Server")) == ["prod.example.com/server:v1"]


# Tags


def test_tags_each_once_in_their_order() -> None:
    names = replace(IMAGE, tags=("v2", "v1", "v2"), registries=("@nightly",))
    assert [d.tags for d in found(names)] == [("v2", "v1", "nightly")]


def test_what_a_destination_is_called() -> None:
    (registry,) = found(replace(IMAGE, tags=("v1", "v2")))
    assert registry.names == ("prod.example.com/server:v1", "prod.example.com/server:v2")
    assert registry.repository_name == "prod.example.com/server"
    assert registry.reference == Reference("prod.example.com", "server")
    (layout,) = found(registries=())
    assert layout.repository_name == "dist/oci/server"


def test_tags_have_placeholders_too() -> None:
    names = replace(IMAGE, tags=("{directory}-1", "{pants.hash}"), registries=("@nightly",))
    facts = BuiltFacts("example.com/x", "0f" * 32)
    found_tags = destinations(
        names,
        (replace(NIGHTLY, extra_image_tags=("{name}-n",)),),
        default_repository="{name}",
        docker_repo="",
        layout="dist/oci",
        facts=facts,
    )
    assert [d.tags for d in found_tags] == [("cart-1", "0f" * 32, "server-n")]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (IMAGE, False),
        (replace(IMAGE, repository="{base}"), True),
        (replace(IMAGE, repository="{md5}"), True),
        (replace(IMAGE, repository="a/{import_path}"), True),
        (replace(IMAGE, tags=("v1", "{pants.hash}")), True),
        (replace(IMAGE, registries=("@hashed",)), True),
        (replace(IMAGE, repository="{name}", tags=("{directory}",)), False),
    ],
)
def test_which_names_are_known_only_when_the_image_is_built(
    names: ImageNames, expected: bool
) -> None:
    hashed = Registry("h.example.com", alias="hashed", extra_image_tags=("{pants.hash}",))
    assert needs_built_facts(names, (PROD, hashed), "{name}") is expected
    assert needs_built_facts(replace(names, repository=""), (PROD, hashed), "{base}")


def test_an_alias_for_names_on_this_machine() -> None:
    (destination,) = found(registries=(replace(PROD, use_local_alias=True),))
    assert destination.local_alias == "prod"
    assert destination.names == ("prod.example.com/server:v1",)


# skip_push


def test_why_nothing_is_pushed() -> None:
    names = replace(IMAGE, registries=("@prod", "@mirror"))
    assert [d.skip for d in found(names)] == ["", "by `skip_push` on registry @mirror"]
    skipped = replace(names, skip_push=True)
    assert [d.skip for d in found(skipped)] == ["by `skip_push` on shop/cart:server"] * 2
    for docker_repo in ("", "registry.example.com"):
        (only,) = found(replace(skipped, registries=()), (), docker_repo=docker_repo)
        assert only.skip == "by `skip_push` on shop/cart:server"


# Mistakes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"registries": ("@prd",)},
            ["field `registries`", "no registry @prd", "@prod, @team, @nightly, @mirror"],
        ),
        ({"registries": ("not a host",)}, ["field `registries`", "'not a host'", "host[:port]"]),
        ({"registries": ("",)}, ["field `registries`", "host[:port]"]),
        (
            {"registries": ("registry.example.com/team",)},
            ["field `registries`", "registry.example.com/team"],
        ),
        ({"registries": ("ko.local",)}, ["field `registries`", "ko.local", "KO_DOCKER_REPO"]),
        ({"tags": ()}, ["field `image_tags`", "at least one tag"]),
        ({"tags": ("",)}, ["field `image_tags`", "tag ''"]),
        ({"tags": ("a b",)}, ["field `image_tags`", "'a b'"]),
        ({"repository": "{nmae}"}, ["field `repository`", "'{nmae}'", "{name}", "{path}"]),
        ({"repository": "{}"}, ["field `repository`", "placeholder"]),
        ({"repository": "{name!r}"}, ["field `repository`", "{name!r}", "{name}"]),
        ({"repository": "{{.Git.Tag}}"}, ["field `repository`", "{{.Git.Tag}}", "`image_tags`"]),
        ({"tags": ("{{name}}",)}, ["field `image_tags`", "double braces", "{name}"]),
        ({"repository": "{build_args.X}"}, ["field `repository`", "no Dockerfile"]),
        ({"repository": "{target_repository}"}, ["field `repository`", "{target_repository}"]),
        ({"tags": ("{nmae}",)}, ["field `image_tags`", "'{nmae}'", "{name}", "{pants.hash}"]),
        ({"tags": ("{path}",)}, ["field `image_tags`", "'shop/cart'"]),
        ({"repository": "{name"}, ["field `repository`", "'{name'"]),
        ({"repository": "name}"}, ["field `repository`", "'name}'"]),
        ({"repository": "a//b"}, ["field `repository`", "'a//b'"]),
        ({"repository": "a b"}, ["field `repository`", "'a b'"]),
        ({"repository": "{name}:v1"}, ["field `repository`", "'server:v1'"]),
        ({"name": "ser ver"}, ["[ko].default_repository for shop/cart:server", "'ser ver'"]),
    ],
    ids=str,
)
def test_a_mistake_in_a_target_names_the_field(change: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(KoPantsError) as e:
        found(replace(IMAGE, **change))
    for word in ("shop/cart:server", *words):
        assert word in str(e.value)


def test_an_unknown_alias_where_there_are_none() -> None:
    with pytest.raises(KoPantsError, match=r"no registry @prod; \[ko\]\.registries has none"):
        found(replace(IMAGE, registries=("@prod",)), ())


def test_a_mistake_in_a_registrys_repository_names_it() -> None:
    with pytest.raises(KoPantsError) as e:
        found(registries=(replace(PROD, repository="{nope}"),))
    assert "repository of [ko].registries" in str(e.value)
    assert "shop/cart:server" in str(e.value)


@pytest.mark.parametrize(
    ("docker_repo", "word"),
    [
        ("registry.example.com:port/x", "host[:port]"),
        ("registry.example.com/Team", "'Team/server'"),
        ("https://registry.example.com", "host[:port]"),
    ],
)
def test_a_mistake_in_ko_docker_repo_names_it(docker_repo: str, word: str) -> None:
    with pytest.raises(KoPantsError) as e:
        found(registries=(), docker_repo=docker_repo)
    assert "KO_DOCKER_REPO" in str(e.value)
    assert "[ko].docker_repo" in str(e.value)
    assert word in str(e.value)


@pytest.mark.parametrize(
    "place",
    [
        "user:s3cret@registry.example.com/team",
        "https://user:s3cret@registry.example.com",
        "https://user:s3/cret@registry.example.com",
        "s3cret@localhost/team",
    ],
)
def test_credentials_in_a_destination_are_not_shown(place: str) -> None:
    named = replace(IMAGE, registries=(place,))
    calls: list[tuple[str, Callable[[], object]]] = [
        ("KO_DOCKER_REPO", lambda: found(registries=(), docker_repo=place)),
        ("field `registries`", lambda: found(named)),
        ("field `repository`", lambda: found(replace(IMAGE, repository=place))),
    ]
    for where, call in calls:
        with pytest.raises(KoPantsError) as e:
            call()
        assert where in str(e.value)
        assert "a user or password before an @ is not read" in str(e.value)
        assert "s3" not in str(e.value)
        assert "cret" not in str(e.value)


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_gives_references_that_can_be_read_or_an_error_for_the_user(
    repository: str, tag: str, registry: str, docker_repo: str
) -> None:
    names = replace(IMAGE, repository=repository, tags=(tag,), registries=(registry,))
    for wanted in (names, replace(names, registries=())):
        with contextlib.suppress(KoPantsError):
            for destination in found(wanted, (), docker_repo=docker_repo):
                if destination.registry:
                    assert Reference.parse(destination.names[0]).tag == tag


# `[ko].registries`


def test_two_targets_with_one_name_are_both_named() -> None:
    seen: dict[str, str] = {}
    (destination,) = found()
    check_distinct(seen, "b:server", destination)
    check_distinct(seen, "b:server", destination)
    with pytest.raises(KoPantsError) as e:
        check_distinct(seen, "a:server", destination)
    assert str(e.value).startswith("a:server and b:server are both published as")
    assert "prod.example.com/server:v1" in str(e.value)
    assert "`repository`" in str(e.value)


def test_other_tags_of_one_repository_are_no_clash() -> None:
    seen: dict[str, str] = {}
    check_distinct(seen, "a:a", Destination("app", ("v1",), registry="r.example.com"))
    check_distinct(seen, "b:b", Destination("app", ("v2",), registry="r.example.com"))
    check_distinct(seen, "c:c", Destination("app", ("v1",), layout="dist/oci"))
