"""Help texts: each field, option, target and goal says what it does, its default and an example."""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any, Iterator

import pytest
from pants.core.goals.package import OutputPathField
from pants.engine.goal import GoalSubsystem
from pants.engine.target import COMMON_TARGET_FIELDS, Dependencies, Field, Target
from pants.option.option_types import collect_options_info

import ko_pants.rules  # noqa: F401  (chooses the engine's spelling)
from ko_pants import goals
from ko_pants.subsystem import KoSubsystem
from ko_pants.target_types import GoSourceField, target_types

# Pants' own help is good enough for them.
OF_PANTS = (*COMMON_TARGET_FIELDS, OutputPathField, Dependencies, GoSourceField)

FIELDS: dict[str, type[Field]] = {
    f"{target.alias}.{field.alias}": field
    for target in target_types()
    for field in target.core_fields
    if not issubclass(field, OF_PANTS)
}


def goal_subsystems() -> Iterator[type[GoalSubsystem]]:
    """The goals that the plugin adds."""
    for module in pkgutil.iter_modules(goals.__path__, f"{goals.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            is_goal = isinstance(value, type) and issubclass(value, GoalSubsystem)
            if is_goal and value.__module__ == module.name:
                yield value


GOALS = {goal.name: goal for goal in goal_subsystems()}


def options() -> Iterator[tuple[str, Any]]:
    """Every option, with what it was registered with."""
    scopes: dict[str, type] = {
        "ko": KoSubsystem,
        "ko (environments)": KoSubsystem.EnvironmentAware,
        **GOALS,
    }
    for scope, subsystem in scopes.items():
        for option in collect_options_info(subsystem):
            (flag,) = option.flag_names
            yield f"{scope}.{flag.lstrip('-')}", option.flag_options


OPTIONS = dict(options())


def problems(text: object) -> list[str]:
    """What is wrong with a text, whatever it is of."""
    if not isinstance(text, str) or not text.strip():
        return ["there is none"]
    wrong = []
    if text != text.strip():
        wrong.append("blanks around it")
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("    "):
            continue
        if "  " in paragraph or "\n" in paragraph:
            wrong.append(f"doubled blanks or a line break in {paragraph!r}")
        if not re.search(r"[.:]\Z", paragraph):
            wrong.append(f"no end of a sentence in {paragraph!r}")
        if not re.match(r"[A-Z`]", paragraph):
            wrong.append(f"no begin of a sentence in {paragraph!r}")
    if text.count("`") % 2:
        wrong.append("code without an end")
    if re.search(r"\$\{|%\(|TODO|XXX|\{[A-Z_]+\}", text):
        wrong.append("something that was to be filled in")
    return wrong


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_a_field_says_what_it_does_its_default_and_an_example(name: str) -> None:
    text = FIELDS[name].help
    assert isinstance(text, str)
    assert problems(text) == []
    alias = FIELDS[name].alias
    assert ("Required." if FIELDS[name].required else "Default: ") in text
    assert re.search(rf"Examples?: `{alias}=", text), "no example as it is in a BUILD file"


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_option_says_what_it_does_and_what_pants_does_not_show(name: str) -> None:
    settings = OPTIONS[name]
    text, default = settings["help"], settings["default"]
    assert problems(text) == []
    if settings["type"] is bool:
        assert text.startswith("If true, ")
        return
    if default is None:
        assert "Default: " in text, "Pants shows None"
    if settings["type"] is str and default is not None and "{" not in default:
        assert f"`{default}`" in text, "the values are to be listed"
    elif settings["type"] not in (int, float) and default in (None, [], {}):
        assert "xample" in text or "[ko.registries" in text


@pytest.mark.parametrize("target", target_types(), ids=lambda target: target.alias)
def test_the_help_of_a_target_begins_with_one_sentence(target: type[Target]) -> None:
    """`./pants help targets` shows the first paragraph."""
    text = target.help
    assert isinstance(text, str)
    assert problems(text) == []
    first = text.split("\n\n")[0]
    assert first.count(". ") == 0
    assert first.endswith(".")
    assert len(first) < 100


@pytest.mark.parametrize("name", sorted(GOALS))
def test_the_help_of_a_goal_begins_with_one_sentence_and_has_an_example(name: str) -> None:
    """`./pants help goals` shows the first paragraph."""
    text = GOALS[name].help
    assert isinstance(text, str)
    assert problems(text) == []
    first, *rest = text.split("\n\n")
    assert first.count(". ") == 0
    assert len(first) < 130
    assert f"`./pants {name}" in " ".join(rest)


def test_the_help_of_the_options_is_a_sentence() -> None:
    assert problems(KoSubsystem.help) == []
