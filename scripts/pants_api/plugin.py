"""What the plugin takes from Pants: every import, and as far as types show it, members and calls.

The types come from annotations: of parameters, of fields of our classes, of what our functions
return. What an attribute of an object of Pants is, is not followed further.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from pants_api.source import (
    FUNCTIONS,
    Function,
    dataclass_fields,
    decorators,
    function_shape,
    statements,
    word,
)

#: How a rule gets a name that only newer versions have.
HOOK = "name_of_newer_pants"

# A class or function, of Pants or of ours: module and name.
Ref = Tuple[str, str]


@dataclass(frozen=True)
class Call:
    """What a call gives.

    :param positional: how many arguments without a name.
    :param open: `*x` or `**x` gives more, nobody knows what.
    :param implicit: `**implicitly(...)`: the engine finds the parameters that are left out.
    :param more: parameters that a dataclass of ours adds to those of its base.
    """

    positional: int
    keywords: FrozenSet[str]
    open: bool
    implicit: bool
    more: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """One place of the plugin that needs a name of Pants.

    :param where: file and line.
    :param names: `module:name` or `module:Class.member`; several if bases of a class may have it.
    :param spelling: `all`; `get` or `call`, the two spellings of the engine; `newest`, for what is
        used only where it is there.
    :param call: how it is called, if it is.
    :param own: a member of a class of ours. It need not be one of Pants.
    :param override: the shape of this member, if it is a function.
    """

    where: str
    names: Tuple[str, ...]
    spelling: str
    call: Optional[Call] = None
    own: bool = False
    override: str = ""


def call_of(node: ast.Call) -> Call:
    stars = [keyword.value for keyword in node.keywords if keyword.arg is None]
    implicit = [value for value in stars if word(value) == "implicitly"]
    starred = [argument for argument in node.args if isinstance(argument, ast.Starred)]
    return Call(
        positional=len(node.args) - len(starred),
        keywords=frozenset(keyword.arg for keyword in node.keywords if keyword.arg),
        open=bool(starred) or len(implicit) < len(stars),
        implicit=bool(implicit),
    )


def is_pants(module: str) -> bool:
    return module.split(".")[0] == "pants"


class Module:
    """One module of the plugin: its text, and what its names stand for."""

    def __init__(self, name: str, where: str, text: str) -> None:
        self.name = name
        self.where = where
        self.tree = ast.parse(text)
        self.refs: Dict[str, Ref] = {}
        # Names of Pants that only some versions have, with the spelling of the engine they are for.
        self.spellings: Dict[Ref, str] = {}
        self.classes: Dict[str, ast.ClassDef] = {}
        self.functions: Dict[str, Function] = {}
        for node in statements(self.tree.body):
            self._bind(node)
        for test in self.tree.body:
            if isinstance(test, ast.If) and word(test.test) == "HAS_GET":
                for spelling, body in (("get", test.body), ("call", test.orelse)):
                    for ref in _imported(body):
                        self.spellings[ref] = spelling

    def _bind(self, node: ast.stmt) -> None:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self.refs[alias.asname or alias.name] = (node.module or "", alias.name)
        elif isinstance(node, ast.ClassDef):
            self.classes[node.name] = node
        elif isinstance(node, FUNCTIONS):
            self.functions[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            hooked = hook_argument(node.value)
            if hooked:
                self.refs[node.targets[0].id] = hooked
                self.spellings[hooked] = "newest"
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            self.refs[node.name] = (self.name, node.name)


def _imported(body: Sequence[ast.stmt]) -> Iterator[Ref]:
    for node in statements(body):
        if isinstance(node, ast.ImportFrom) and is_pants(node.module or ""):
            yield from ((node.module or "", alias.name) for alias in node.names)


def hook_argument(node: ast.expr) -> Optional[Ref]:
    """The name that a call of the hook asks for."""
    if isinstance(node, ast.Call) and word(node) == HOOK:
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        if len(texts) == 2:
            return str(texts[0]), str(texts[1])
    return None


class Plugin:
    """All modules of the plugin."""

    def __init__(self, texts: Dict[str, Tuple[str, str]]) -> None:
        """:param texts: by the name of a module, its file and its text."""
        self.modules = {name: Module(name, *text) for name, text in texts.items()}
        self.spellings = {
            ":".join(ref): spelling
            for module in self.modules.values()
            for ref, spelling in module.spellings.items()
        }

    def uses(self) -> List[Use]:
        """Every use of a name of Pants, in the order of the text."""
        return [use for module in self.modules.values() for use in _Scan(self, module).run()]

    def follow(self, ref: Optional[Ref]) -> Optional[Ref]:
        """Where a name of ours is defined; as it is, if it is one of Pants. None for the rest."""
        for _ in range(9):
            if ref is None or is_pants(ref[0]):
                return ref
            module = self.modules.get(ref[0])
            if module is None or module.refs.get(ref[1]) == ref:
                return ref if module else None
            ref = module.refs.get(ref[1])
        return None

    def class_of(self, ref: Ref) -> Optional[ast.ClassDef]:
        module = self.modules.get(ref[0])
        return module.classes.get(ref[1]) if module else None

    def type_of(self, module: Module, node: Optional[ast.AST]) -> Optional[Ref]:
        """The class that an annotation names: `X`, `X | None`, `Optional[X]`, `X[...]`."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = ast.parse(node.value, mode="eval").body
        if isinstance(node, ast.BinOp):
            return self.type_of(module, node.left) or self.type_of(module, node.right)
        if isinstance(node, ast.Subscript):
            node = node.slice if word(node.value) in ("Optional", "ClassVar") else node.value
        return self.follow(module.refs.get(node.id)) if isinstance(node, ast.Name) else None

    def bases(self, ref: Ref) -> Iterator[Ref]:
        """The classes that one of ours inherits from: ours, and the nearest ones of Pants."""
        node = self.class_of(ref)
        for base in node.bases if node else []:
            found = self.type_of(self.modules[ref[0]], base)
            if found:
                yield found
                yield from self.bases(found)

    def member(self, ref: Ref, name: str) -> Tuple[bool, Optional[Ref]]:
        """Whether our own classes define a member, and the class of its value."""
        for owner in (ref, *self.bases(ref)):
            node = self.class_of(owner)
            for statement in ast.walk(node) if node else []:
                if isinstance(statement, FUNCTIONS) and statement.name == name:
                    return True, self.type_of(self.modules[owner[0]], statement.returns)
                target = getattr(statement, "target", None)
                if isinstance(statement, ast.AnnAssign) and word(target) == name:
                    return True, self.type_of(self.modules[owner[0]], statement.annotation)
                if isinstance(statement, ast.Assign) and name in map(word, statement.targets):
                    return True, None
        return False, None

    def pants_names(self, ref: Ref, member: str) -> Tuple[str, ...]:
        """The names under which Pants may have a member of a class."""
        owners = [ref] if is_pants(ref[0]) else [b for b in self.bases(ref) if is_pants(b[0])]
        return tuple(f"{module}:{name}.{member}" for module, name in owners)


def _is_property(node: ast.stmt) -> bool:
    """True for what reads a property, and for what sets it."""
    return not {"property", "setter"}.isdisjoint(decorators(node))


class _Scan(ast.NodeVisitor):
    """Finds the uses in one module."""

    def __init__(self, plugin: Plugin, module: Module) -> None:
        self._plugin = plugin
        self._module = module
        self._found: List[Use] = []
        self._spelling = "all"
        self._class: Optional[Ref] = None
        self._types: Dict[str, Optional[Ref]] = {}

    def run(self) -> List[Use]:
        self.visit(self._module.tree)
        return self._found

    def _add(
        self,
        node: ast.AST,
        names: Tuple[str, ...],
        call: Optional[Call] = None,
        *,
        own: bool = False,
        override: str = "",
        spelling: str = "",
    ) -> None:
        if names:
            where = f"{self._module.where}:{getattr(node, 'lineno', 0)}"
            for known, its_spelling in self._plugin.spellings.items():
                if any(f"{name}.".startswith(f"{known}.") for name in names):
                    spelling = spelling or its_spelling
            spelling = spelling or self._spelling
            self._found.append(Use(where, names, spelling, call, own, override))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if is_pants(node.module or ""):
            for alias in node.names:
                self._add(node, (f"{node.module}:{alias.name}",), spelling=self._spelling)

    def visit_If(self, node: ast.If) -> None:
        if word(node.test) != "HAS_GET":
            self.generic_visit(node)
            return
        for self._spelling, body in (("get", node.body), ("call", node.orelse)):
            for statement in body:
                self.visit(statement)
        self._spelling = "all"

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self._class = self._class, (self._module.name, node.name)
        for statement in node.body:
            shape = ""
            if isinstance(statement, FUNCTIONS) and not _is_property(statement):
                shape = function_shape([statement], is_member=True)
            for name in _members(statement):
                names = self._plugin.pants_names(self._class, name)
                self._add(statement, names, own=True, override=shape)
        self.generic_visit(node)
        self._class = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: Function) -> None:
        outer = self._types
        self._types = {**outer, **self._parameters(node)}
        self._types.update(self._locals(node))
        self.generic_visit(node)
        self._types = outer

    def _parameters(self, node: Function) -> Dict[str, Optional[Ref]]:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        types = {a.arg: self._plugin.type_of(self._module, a.annotation) for a in arguments}
        if self._class and arguments and arguments[0].arg in ("self", "cls"):
            types[arguments[0].arg] = self._class
        return types

    def _locals(self, node: Function) -> Dict[str, Optional[Ref]]:
        """The types of variables that get one value, in the order of the text."""
        stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _is_stored(n)]
        types: Dict[str, Optional[Ref]] = dict.fromkeys(stored)
        for test in ast.walk(node):
            # What a variable is depends on the place, if its class is asked for.
            if isinstance(test, ast.Call) and word(test) == "isinstance":
                types[word(test.args[0])] = None
        self._types.update(types)
        for statement in ast.walk(node):
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                if stored.count(name) == 1:
                    types[name] = self._types[name] = self._type(statement.value)
        return types

    def _type(self, node: ast.expr) -> Optional[Ref]:
        """The class of an expression, or the class or function that it is."""
        if isinstance(node, ast.Await):
            return self._type(node.value)
        if isinstance(node, ast.Name):
            if node.id in self._types:
                return self._types[node.id]
            return self._plugin.follow(self._module.refs.get(node.id))
        if isinstance(node, ast.Attribute):
            owner = self._type(node.value)
            if owner and is_pants(owner[0]):
                # A class in a class, such as an enum.
                return (owner[0], f"{owner[1]}.{node.attr}") if node.attr[0].isupper() else None
            return self._plugin.member(owner, node.attr)[1] if owner else None
        if isinstance(node, ast.Call):
            called = self._type(node.func)
            if called is None or isinstance(node.func, ast.Attribute):
                return called
            module = self._plugin.modules.get(called[0])
            if module and called[1] in module.functions:
                return self._plugin.type_of(module, module.functions[called[1]].returns)
            return called if called[1][0].isupper() else None
        return None

    def visit_Call(self, node: ast.Call) -> None:
        call, function = call_of(node), node.func
        hooked = hook_argument(node)
        if hooked:
            self._add(node, (":".join(hooked),), spelling="newest")
        if isinstance(function, ast.Subscript):
            function = function.value
        if isinstance(function, ast.Attribute):
            self._attribute(function, call)
            self.visit(function.value)
        elif isinstance(function, ast.Name) and function.id not in self._types:
            self._called_name(node, self._plugin.follow(self._module.refs.get(function.id)), call)
        for child in (*node.args, *node.keywords):
            self.visit(child)

    def _called_name(self, node: ast.Call, ref: Optional[Ref], call: Call) -> None:
        if ref is None:
            return
        if is_pants(ref[0]):
            self._add(node, (":".join(ref),), call)
            return
        bases = [base for base in self._plugin.bases(ref) if is_pants(base[0])]
        own = [self._plugin.class_of(r) for r in (*reversed([*self._plugin.bases(ref)]), ref)]
        more = {
            name: text
            for cls in own
            if cls and "dataclass" in decorators(cls)
            for name, text in dataclass_fields(cls).items()
        }
        if bases:
            found = Call(call.positional, call.keywords, call.open, False, tuple(more.values()))
            self._add(node, (":".join(bases[0]),), found)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._attribute(node, None)
        self.visit(node.value)

    def _attribute(self, node: ast.Attribute, call: Optional[Call]) -> None:
        is_super = isinstance(node.value, ast.Call) and word(node.value) == "super"
        owner = self._class if is_super else self._type(node.value)
        if owner is None or (not is_super and self._plugin.member(owner, node.attr)[0]):
            return
        if is_pants(owner[0]) and not owner[1].rpartition(".")[2][0].isupper():
            return  # a function
        self._add(node, self._plugin.pants_names(owner, node.attr), call)


def _is_stored(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _members(node: ast.stmt) -> List[str]:
    """What a statement in the body of a class defines."""
    if isinstance(node, FUNCTIONS):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def read_plugin(root: Path) -> Plugin:
    """:param root: the directory that holds the package."""
    texts = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        texts[name] = (str(path.relative_to(root)), path.read_text(encoding="utf-8"))
    return Plugin(texts)
