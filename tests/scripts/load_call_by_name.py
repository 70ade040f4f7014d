"""Loads the plugin as a Pants without `Get` would, each module of argv first, and reads its rules.

What such a Pants has and this one lacks is stood in for. The decorators of rules do as the newer
engine: they read the source of a rule, and of the async functions that it calls, when they run, and
every name that is awaited has to be there by then. Fails with what was missing.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Dict, List, Set, Tuple

GRAPH = (
    "address_families_from_raw_specs_without_file_owners",
    *("hydrate_sources", "resolve_source_paths", "resolve_targets"),
)


async def engine_rule(*_: Any) -> None:
    """Stands for every rule of Pants that is called by name."""


class _RulesOfPants(ModuleType):
    """A module of Pants that this version lacks, with every name that is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return engine_rule


# By file and first line: `inspect.getsource` would read a file again for each of its functions.
functions: Dict[Tuple[str, int], ast.AST] = {}
missing: List[str] = []
rules_read: Set[str] = set()


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', '')}"


def parse(file: str) -> None:
    """Have the functions of a file at hand."""
    for node in ast.walk(ast.parse(Path(file).read_bytes())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            functions[file, first] = node


def read(function: Callable[..., Any], rule: str) -> None:
    """Follows what `function` calls from the names that its module has now."""
    names = vars(sys.modules[function.__module__])
    code = inspect.unwrap(function).__code__
    place = code.co_filename, code.co_firstlineno
    if place not in functions:
        parse(code.co_filename)  # one of Pants
    for node in ast.walk(functions[place]):
        if isinstance(node, ast.Await):
            assert isinstance(node.value, ast.Call), ast.dump(node)
            assert isinstance(node.value.func, ast.Name), ast.dump(node)
            if node.value.func.id not in names:
                missing.append(f"{rule}: {function.__name__} awaits {node.value.func.id}")
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        called = names.get(node.func.id, getattr(builtins, node.func.id, None))
        if called is None and function.__module__ == "ko_pants.engine":
            missing.append(f"{rule}: {function.__name__} calls {node.func.id}")
        known = called is engine_rule or _name(called) in rules_read
        if inspect.iscoroutinefunction(called) and not known:
            read(called, rule)


def decorator(*arguments: Any, **_: Any) -> Any:
    """`@rule` and `@rule(...)`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        read(function, _name(function))
        rules_read.add(_name(function))
        return function

    return decorate(arguments[0]) if arguments else decorate


async def concurrently(*_: Any) -> None:
    """Stands for the function of the newer engine."""


def take_get_away() -> None:
    """Makes this Pants one that calls rules by name."""
    import pants.engine.internals.graph as graph
    import pants.engine.rules as rules

    for name in ("Get", "MultiGet"):
        delattr(rules, name)
    for name in ("rule", "goal_rule", "_uncacheable_rule"):
        setattr(rules, name, decorator)
    setattr(rules, "concurrently", concurrently)  # noqa: B010
    setattr(rules, "implicitly", dict)  # noqa: B010
    for name in GRAPH:
        setattr(graph, name, engine_rule)
    for name in ("pants.engine.intrinsics", "pants.core.environments.rules"):
        sys.modules[name] = _RulesOfPants(name)


def main(modules: List[str]) -> int:
    importlib.import_module("ko_pants.register").rules()  # has all modules of Pants imported
    expected = {name for name in sys.modules if name.startswith("ko_pants.")}
    for name in expected | {"ko_pants"}:
        parse(str(sys.modules.pop(name).__file__))
    take_get_away()
    failed = []
    for name in modules:
        child = os.fork()
        if not child:
            importlib.import_module(name)
            importlib.import_module("ko_pants.register").rules()
            print(*missing, sep="\n", file=sys.stderr)
            os._exit(bool(missing) or not rules_read)
        if os.waitpid(child, 0)[1]:
            failed.append(name)
    if failed:
        print("with these imported first:", ", ".join(failed), file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
