"""Targets need a name where Pants gives them none."""

from __future__ import annotations

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidTargetException, Target

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants.target_types import GoExecutableTarget, GoOciImageTarget, GoSourcesTarget

TARGETS = [GoOciImageTarget, GoExecutableTarget, GoSourcesTarget]


@pytest.mark.parametrize("kind", TARGETS, ids=lambda kind: kind.alias)
def test_a_target_at_the_build_root_has_to_be_named(kind: type[Target]) -> None:
    with pytest.raises(InvalidTargetException) as error:
        kind({}, Address("", target_name=None), description_of_origin="BUILD:1")
    text = str(error.value)
    assert text.startswith(f"BUILD:1: a `{kind.alias}` in the BUILD file at the build root")
    assert f'`{kind.alias}(name="app")`' in text


@pytest.mark.parametrize("kind", TARGETS, ids=lambda kind: kind.alias)
@pytest.mark.parametrize("address", [Address("", target_name="app"), Address("cmd/app")])
def test_other_targets_have_a_name(kind: type[Target], address: Address) -> None:
    assert kind({}, address).address.target_name == "app"
