"""Whether what the plugin takes from Pants is there, and is called as each version wants it."""

from __future__ import annotations

import ast
from typing import Iterable, Iterator, List

from pants_api.plugin import Call, Use
from pants_api.table import Table

#: The first version without `Get`.
FIRST_WITHOUT_GET = (2, 32)


def problems(uses: Iterable[Use], table: Table) -> List[str]:
    """What does not fit, one line each, with the place in the plugin."""
    return [f"{use.where}: {text}" for use in uses for text in _problems(use, table)]


def wanted_versions(use: Use, table: Table) -> List[str]:
    """The versions that must have what is used there."""
    if use.spelling == "newest" or use.own:
        # A member of ours overrides one that older versions may lack. It must not have gone.
        return table.versions[-1:]
    if use.spelling == "all":
        return table.versions
    return [
        version
        for version in table.versions
        if (tuple(map(int, version.split("."))) < FIRST_WITHOUT_GET) == (use.spelling == "get")
    ]


def _problems(use: Use, table: Table) -> List[str]:
    name = table.name_of(use)
    if not name:
        if use.own:
            return []
        return [f"{use.names[0]} is not in the table of Pants' names: run scripts/pants-api"]
    shapes = table.shapes[name]
    wanted = wanted_versions(use, table)
    missing = [version for version in wanted if version not in shapes]
    found = [f"Pants {', '.join(missing)} has no {name}"] if missing else []
    for shape in dict.fromkeys(shapes.values()):
        having = [version for version in shapes if shapes[version] == shape]
        # What newer versions alone have is used wherever it is.
        needing = [v for v in having if use.spelling == "newest" or v in wanted]
        why = refusal(shape, use.call) if use.call and needing else ""
        if why:
            found.append(f"Pants {', '.join(needing)}: {name}: {why}; it is {shape}")
        why = _override_refusal(use.override, shape) if use.override else ""
        if why:
            found.append(f"Pants {', '.join(having)}: {name} is {shape}; the plugin's own: {why}")
    return found


def _override_refusal(ours: str, theirs: str) -> str:
    """Why a method of ours cannot stand for one of Pants; "" if it can."""
    if ours.partition("(")[0] != theirs.partition("(")[0]:
        return f"it is {ours}"
    for arguments in _signatures(theirs):
        for positional in (arguments.args, arguments.args[: -len(arguments.defaults) or None]):
            named = frozenset(a.arg for a in arguments.kwonlyargs)
            why = refusal(ours, Call(len(positional), named, open=False, implicit=False))
            if why:
                return why
        for own in _signatures(ours):
            if (arguments.vararg and not own.vararg) or (arguments.kwarg and not own.kwarg):
                return "it takes no further arguments"
    return ""


def _signatures(shape: str) -> Iterator[ast.arguments]:
    """The parameters, for each overload. Nothing if the source did not say."""
    parameters = shape.partition("(")[2].partition(") -> ")[0].rstrip(")")
    for alternative in parameters.split(") | ("):
        if alternative != "...":
            function = ast.parse(f"def f({alternative}): pass").body[0]
            assert isinstance(function, ast.FunctionDef)
            yield function.args


def refusal(shape: str, call: Call) -> str:
    """Why what has this shape cannot be called so; "" if it can."""
    kind, bracket, _ = shape.partition("(")
    if not bracket:
        return "" if kind in ("inherited", "class") else "this cannot be called"
    reasons = [
        _refusal(_with(arguments, call.more), call, is_rule=kind == "rule")
        for arguments in _signatures(shape)
    ]
    return min(reasons, key=len, default="")


def _with(arguments: ast.arguments, more: Iterable[str]) -> ast.arguments:
    """With the fields that a dataclass of ours adds, or gives a default."""
    for text in more:
        (field,) = _signatures(f"({text})")
        if field.args[0].arg not in {a.arg for a in arguments.args}:
            arguments.args += field.args
            arguments.defaults += field.defaults
    return arguments


def _refusal(arguments: ast.arguments, call: Call, *, is_rule: bool) -> str:
    positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    given = positional[: call.positional]
    named = {a.arg for a in (*arguments.args, *arguments.kwonlyargs)}
    required = positional[: len(positional) - len(arguments.defaults)] + [
        a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults) if d is None
    ]
    if call.positional > len(positional) and not arguments.vararg:
        return f"it takes {len(positional)} arguments by position, not {call.positional}"
    unknown = sorted(call.keywords - named)
    if unknown and not arguments.kwarg:
        return f"it takes no {', '.join(unknown)}"
    twice = sorted(call.keywords & set(given))
    if twice:
        return f"it gets {', '.join(twice)} twice"
    missing = [name for name in required if name not in given and name not in call.keywords]
    if missing and not call.open and not (is_rule and call.implicit):
        return f"it needs {', '.join(missing)}"
    return ""
