"""The backend `ko_pants`."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType
from typing import Iterator

from ko_pants.environment_check import check_environment

check_environment()

# ruff: noqa: E402 (The rest may not even import where there is a problem.)
from pants.build_graph.build_file_aliases import BuildFileAliases
from pants.engine.rules import collect_rules
from pants.engine.target import Target

from ko_pants import goals
from ko_pants import rules as rule_modules
from ko_pants import target_types as targets
from ko_pants.bazel_build_files import refusing_functions
from ko_pants.dropped_rules import say_nothing_of_dropped_rules
from ko_pants.garbage import look_for_garbage_less_often

say_nothing_of_dropped_rules()
look_for_garbage_less_often()


def _modules() -> Iterator[ModuleType]:
    """Every module that can have rules."""
    yield targets
    for package in (rule_modules, goals):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            yield importlib.import_module(found.name)


def _rules_of(module: ModuleType) -> Iterator[object]:
    """What a module's `rules()` says, for a module with more than rules; else its rules."""
    yield from module.rules() if hasattr(module, "rules") else collect_rules(module)


# CPython 3.8 has no functools.cache.
@functools.lru_cache(maxsize=None)  # noqa: UP033
def rules() -> tuple[object, ...]:
    """Every rule of the backend, once. Pants asks twice in each run, also of a warm daemon."""
    return tuple(dict.fromkeys(rule for module in _modules() for rule in _rules_of(module)))


def target_types() -> list[type[Target]]:
    """Every target of the backend."""
    return targets.target_types()


def build_file_aliases() -> BuildFileAliases:
    """What BUILD files can call beside targets."""
    return BuildFileAliases(objects=refusing_functions())
