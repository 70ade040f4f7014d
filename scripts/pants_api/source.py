"""One Pants as source: where a name is defined, and what it looks like there.

What a name looks like is its *shape*, a line of text without defaults, for example

    class(argv, *, description, level=...)        a class that the plugin calls; `class` if not
    function(*args, **kwargs)
    rule(process: Process) -> ProcessResult       its types are what the engine goes by
    method(...), classmethod(...), staticmethod(...), property
    attribute: str | None
    constant, module
    inherited                                     from a class that is not of Pants

The parameters are `...` where the source does not say: a class that inherits from `tuple`.
"""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
RULES = {"rule", "goal_rule", "_uncacheable_rule"}
# What a class may inherit from without a change of how it is called.
_PLAIN_BASES = {"object", "Generic", "ABC", "Protocol", "Hashable"}
_OLD_SPELLINGS = {"Type": "type", "Tuple": "tuple", "List": "list", "Dict": "dict"}


@dataclass(frozen=True)
class Definition:
    """What a name stands for: one statement, or several for overloads. None is a whole module."""

    module: str
    nodes: Tuple[ast.stmt, ...]

    @property
    def cls(self) -> Optional[ast.ClassDef]:
        """The class, if it is one."""
        node = self.nodes[-1] if self.nodes else None
        return node if isinstance(node, ast.ClassDef) else None


def word(node: Optional[ast.AST]) -> str:
    """The last name of `f`, `m.f`, `f(...)` and `f[...]`; "" for anything else."""
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run, also those below `if` and `try`."""
    for node in body:
        if isinstance(node, ast.If):
            if word(node.test) != "TYPE_CHECKING":
                yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from statements(node.body)
            for handler in node.handlers:
                yield from statements(handler.body)
        else:
            yield node


def _bound(node: ast.stmt) -> List[str]:
    """The names that a statement binds."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [
        name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
    ]


def _names(body: Sequence[ast.stmt]) -> Dict[str, List[ast.stmt]]:
    found: Dict[str, List[ast.stmt]] = {}
    for node in statements(body):
        for name in _bound(node):
            found.setdefault(name, []).append(node)
    return found


def type_text(node: Optional[ast.expr]) -> str:
    """A type in the newest spelling, so that versions differ only where the type does."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return type_text(ast.parse(node.value, mode="eval").body)
        return "..." if node.value is ... else str(node.value)
    if isinstance(node, ast.BinOp):
        return f"{type_text(node.left)} | {type_text(node.right)}"
    if isinstance(node, (ast.Tuple, ast.List)):
        inner = ", ".join(map(type_text, node.elts))
        return f"[{inner}]" if isinstance(node, ast.List) else inner
    if isinstance(node, ast.Subscript):
        inside = node.slice
        outer, inner = word(node.value), type_text(inside)
        if outer == "Optional":
            return f"{inner} | None"
        if outer == "Union" and isinstance(inside, ast.Tuple):
            return " | ".join(map(type_text, inside.elts))
        return f"{_OLD_SPELLINGS.get(outer, outer)}[{inner}]"
    name = word(node)
    return _OLD_SPELLINGS.get(name, name)


def _parameters(arguments: ast.arguments, *, skip: int = 0, typed: bool = False) -> str:
    def text(argument: ast.arg, stars: str = "", default: object = None) -> str:
        kind = f": {type_text(argument.annotation)}" if typed and argument.annotation else ""
        return f"{stars}{argument.arg}{kind}" + ("=..." if default is not None else "")

    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    parts = [text(a, default=d) for a, d in zip(positional, defaults)]
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    parts = parts[skip:] if parts[skip : skip + 1] != ["/"] else parts[skip + 1 :]
    if arguments.vararg:
        parts.append(text(arguments.vararg, "*"))
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [text(a, default=d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults)]
    if arguments.kwarg:
        parts.append(text(arguments.kwarg, "**"))
    return ", ".join(parts)


def decorators(node: ast.stmt) -> List[str]:
    return [word(d) for d in getattr(node, "decorator_list", [])]


def _without_overloads(nodes: Sequence[ast.stmt]) -> List[Function]:
    """The functions to call: the one that has a body, or all where there are only overloads."""
    functions = [node for node in nodes if isinstance(node, FUNCTIONS)]
    real = [node for node in functions if "overload" not in decorators(node)]
    return real[-1:] or functions


def _alternatives(functions: Sequence[Function], *, skip: int) -> str:
    texts = (f"({_parameters(function.args, skip=skip)})" for function in functions)
    return " | ".join(dict.fromkeys(texts))


def dataclass_fields(node: ast.ClassDef) -> Dict[str, str]:
    """The parameters that the fields of one class are, by name."""
    fields = {}
    for statement in node.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if type_text(statement.annotation).startswith("ClassVar"):
            continue
        value = statement.value
        options = {}
        if isinstance(value, ast.Call) and word(value) == "field":
            options = {keyword.arg: keyword.value for keyword in value.keywords}
            if isinstance(options.get("init"), ast.Constant):
                continue
            value = options.get("default", options.get("default_factory"))
        name = statement.target.id
        fields[name] = f"{name}=..." if value is not None else name
    return fields


class PantsSource:
    """The modules of one Pants."""

    def __init__(self, read: Callable[[str], Optional[str]]) -> None:
        """:param read: the text of a file below the directory that holds `pants/`, or None."""
        self._read = read
        self._modules: Dict[str, Optional[Dict[str, List[ast.stmt]]]] = {}

    @property
    def version(self) -> str:
        """Such as `2.33.0`."""
        text = self._read("pants/VERSION") or self._read("pants/_version/VERSION") or ""
        return text.strip()

    def _module(self, name: str) -> Optional[Dict[str, List[ast.stmt]]]:
        if name not in self._modules:
            path = name.replace(".", "/")
            texts = (self._read(path + end) for end in (".py", "/__init__.py", ".pyi"))
            text = next((text for text in texts if text is not None), None)
            self._modules[name] = None if text is None else _names(ast.parse(text).body)
        return self._modules[name]

    def find(self, module: str, name: str) -> Optional[Definition]:
        """Where a name of a module is defined, through imports of other modules of Pants."""
        nodes = (self._module(module) or {}).get(name)
        if nodes is None:
            whole = self._module(f"{module}.{name}")
            return None if whole is None else Definition(f"{module}.{name}", ())
        last = nodes[-1]
        if isinstance(last, ast.ImportFrom):
            original = next(a.name for a in last.names if (a.asname or a.name) == name)
            origin = last.module or ""
            if last.level:
                parent = module.rsplit(".", last.level)[0]
                origin = f"{parent}.{origin}" if origin else parent
            if origin.startswith("pants.") or origin == "pants":
                return self.find(origin, original)
        if isinstance(last, ast.Assign) and isinstance(last.value, ast.Name):
            return self.find(module, last.value.id) or Definition(module, tuple(nodes))
        return Definition(module, tuple(nodes))

    def _lineage(self, module: str, node: ast.ClassDef) -> Iterator[Tuple[str, ast.ClassDef]]:
        """A class and the classes of Pants that it inherits from, nearest first."""
        yield module, node
        for base in node.bases:
            found = self.find(module, word(base))
            cls = found.cls if found else None
            if found and cls and cls is not node:
                yield from self._lineage(found.module, cls)

    def _constructor(self, module: str, node: ast.ClassDef) -> str:
        lineage = list(self._lineage(module, node))
        for number, (_, cls) in enumerate(lineage):
            members = _names(cls.body)
            for name in ("__init__", "__new__"):
                functions = _without_overloads(members.get(name, []))
                if functions:
                    return _alternatives(functions, skip=1)
            if "dataclass" in decorators(cls):
                fields: Dict[str, str] = {}
                for _, ancestor in reversed(lineage[number:]):
                    if "dataclass" in decorators(ancestor):
                        fields.update(dataclass_fields(ancestor))
                return f"({', '.join(fields.values())})"
        return "(...)" if self._has_outside_base(module, node) else "()"

    def _has_outside_base(self, module: str, node: ast.ClassDef) -> bool:
        lineage = [cls for _, cls in self._lineage(module, node)]
        known = {cls.name for cls in lineage} | _PLAIN_BASES
        return any(word(base) not in known for cls in lineage for base in cls.bases)

    def _member(self, module: str, node: ast.ClassDef, name: str) -> Optional[Definition]:
        for origin, cls in self._lineage(module, node):
            found = _names(cls.body).get(name) or [
                statement
                for statement in ast.walk(cls)
                if isinstance(statement, (ast.Assign, ast.AnnAssign))
                for target in getattr(statement, "targets", [getattr(statement, "target", None)])
                if isinstance(target, ast.Attribute)
                and target.attr == name
                and word(target.value) == "self"
            ]
            if found:
                return Definition(origin, tuple(found))
        return None

    def shape(self, module: str, name: str, *, called: bool = False) -> Optional[str]:
        """What a name looks like, or a member (`Class.member`); None if it is not there.

        :param called: the plugin makes instances of it: say what the constructor takes.
        """
        first, *members = name.split(".")
        found = self.find(module, first)
        for member in members:
            cls = found.cls if found else None
            if found is None or cls is None:
                return None
            outside = self._has_outside_base(found.module, cls)
            found = self._member(found.module, cls, member)
            if found is None and outside:
                return "inherited"
        if found is None:
            return None
        if not found.nodes:
            return "module"
        node = found.nodes[-1]
        if isinstance(node, ast.ClassDef):
            return "class" + (self._constructor(found.module, node) if called else "")
        if isinstance(node, FUNCTIONS):
            if members and any("property" in d for n in found.nodes for d in decorators(n)):
                return "property"
            return function_shape(_without_overloads(found.nodes), is_member=bool(members))
        if not members:
            return "constant"
        annotated = [n.annotation for n in found.nodes if isinstance(n, ast.AnnAssign)]
        return f"attribute: {type_text(annotated[0])}" if annotated else "attribute"


def function_shape(functions: Sequence[Function], *, is_member: bool) -> str:
    """The shape of a function, of which several are overloads."""
    names = decorators(functions[-1])
    if not is_member and RULES & set(names):
        (rule,) = functions
        return f"rule({_parameters(rule.args, typed=True)}) -> {type_text(rule.returns)}"
    kind = "method" if is_member else "function"
    for name in ("classmethod", "staticmethod"):
        kind = name if name in names else kind
    skip = int(kind in ("method", "classmethod"))
    return kind + _alternatives(functions, skip=skip)


def open_source(place: str) -> PantsSource:
    """A checkout, an installed Pants (the directory that holds `pants/`), or REPOSITORY@REF.

    :raises FileNotFoundError: there is no Pants there.
    """
    path, _, ref = place.rpartition("@")
    source = _of_repository(path, ref) if path else _of_directory(Path(place))
    if not source.version:
        raise FileNotFoundError(f"{place}: no Pants there")
    return source


def _of_directory(path: Path) -> PantsSource:
    root = path / "src" / "python" if (path / "src" / "python" / "pants").is_dir() else path

    def read(name: str) -> Optional[str]:
        file = root / name
        return file.read_text(encoding="utf-8") if file.is_file() else None

    return PantsSource(read)


def _of_repository(path: str, ref: str) -> PantsSource:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", path, *arguments], stdout=subprocess.PIPE, check=True, encoding="utf-8"
        )
        return done.stdout

    top = "src/python/"
    files = set(git("ls-tree", "-r", "--name-only", ref, top + "pants").splitlines())

    def read(name: str) -> Optional[str]:
        return git("show", f"{ref}:{top}{name}") if top + name in files else None

    return PantsSource(read)
