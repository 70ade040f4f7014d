"""An image that goes nowhere is not built where Pants asks first (2.32 and newer).

This Pants does not ask, so its part is stood in for as `core/goals/publish.py` of 2.33 has it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Iterable, Iterator

import pants.core.goals.publish as publish_of_pants
import pytest
from pants.core.goals.publish import PublishPackages
from pants.engine.addresses import Address
from pants.engine.unions import UnionRule, union

from ko_pants.errors import KoPantsError
from ko_pants.goals import publish, publish_skip
from ko_pants.publishing.registries import Registry


@union
@dataclass(frozen=True)
class CheckSkipRequest:
    """What Pants asks."""

    package_fs: Any
    publish_fs: Any


class CheckSkipResult:
    """What it is answered."""

    def __init__(self, inner: Iterable[PublishPackages], skip_packaging_only: bool = False) -> None:
        self.inner = tuple(inner)
        self.skip_packaging_only = skip_packaging_only

    @classmethod
    def no_skip(cls) -> CheckSkipResult:
        """Build and publish."""
        return cls([])


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module as a newer Pants loads it."""
    monkeypatch.setattr(publish_of_pants, "CheckSkipRequest", CheckSkipRequest, raising=False)
    monkeypatch.setattr(publish_of_pants, "CheckSkipResult", CheckSkipResult, raising=False)
    yield importlib.reload(publish_skip)
    monkeypatch.undo()
    importlib.reload(publish_skip)


def field_set(**fields: Any) -> Any:
    values = {"repository": None, "registries": None, "tags": ("1", "2"), "skip_push": False}
    named = {name: SimpleNamespace(value=v) for name, v in {**values, **fields}.items()}
    return SimpleNamespace(address=Address("app", target_name="app"), **named)


SETTINGS = SimpleNamespace(
    registries=(
        Registry("open.io", "open", default=True),
        Registry("closed.io", "closed", skip_push=True),
    ),
    default_repository="{name}",
    docker_repo="",
    layout_path="dist/oci",
    tag_only=False,
)


def ask(newer: Any, publish_fs: Any) -> Any:
    request = newer.skip_request("the package", publish_fs)
    assert (request.package_fs, request.publish_fs) == ("the package", publish_fs)
    answer = newer.skip_image(request, SETTINGS, None)
    with pytest.raises(StopIteration) as ended:
        answer.send(None)
    return ended.value.value


def test_an_image_with_skip_push(newer: Any) -> None:
    (package,) = ask(newer, field_set(skip_push=True, registries=("@open",))).inner
    assert package.names == ("open.io/app:1", "open.io/app:2")
    assert package.process is None
    assert package.description == "(by `skip_push` on app:app)"
    # An entry of `--publish-output` names its target.
    assert package.get_output_data()["target"] == "app:app"


def test_every_registry_is_skipped(newer: Any) -> None:
    (package,) = ask(newer, field_set(registries=("@closed",))).inner
    assert package.names == ("closed.io/app:1", "closed.io/app:2")
    assert package.description == "(by `skip_push` on registry @closed)"


def test_one_registry_is_enough_to_build(newer: Any) -> None:
    for registries in (("@closed", "@open"), ("@open",), None):
        assert ask(newer, field_set(registries=registries)).inner == ()


def test_a_wrong_name_is_told_before_anything_is_built(newer: Any) -> None:
    with pytest.raises(KoPantsError, match="app:app"):
        ask(newer, field_set(skip_push=True, repository="Not A Repository"))


def test_pants_learns_of_the_rule(newer: Any) -> None:
    unions = [rule for rule in newer.rules() if isinstance(rule, UnionRule)]
    assert unions == [UnionRule(CheckSkipRequest, newer.GoOciImageSkipRequest)]
    assert len(newer.rules()) > 1


def test_the_pants_that_runs_here_does_not_ask() -> None:
    assert publish_skip.rules() == []
    made = publish.PublishGoOciImageFieldSet.check_skip_request
    assert made(SimpleNamespace(), SimpleNamespace()) is None  # type: ignore[arg-type]
