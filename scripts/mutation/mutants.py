"""The mutants of one source file: every small change that the tests ought to notice.

mutmut's table of mutations, and four more that it lacks: a condition that is always true or false,
one operand of `and`/`or` alone, a statement left out, `return None`. What is not changed:
docstrings, annotations, log calls, and what `raise` raises.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Iterator

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut import node_mutation

# Its other changes of a string (lower, upper, capitalize) say the same as the first. A call without
# one of its positional arguments fails, and so does most code after `x = None`: any test notices.
_REPLACED_HERE = {"operator_string", "operator_arg_removal", "operator_assignment"}
_FROM_MUTMUT = [
    (kind, operator)
    for kind, operator in node_mutation.mutation_operators
    if operator.__name__ not in _REPLACED_HERE
]
_LOGGERS = {"debug", "info", "warning", "error", "exception", "log"}
_UNTOUCHED_CALLS = {"cast", "TypeVar", "NewType", "isinstance"}
_TRUE, _FALSE, _NONE = cst.Name("True"), cst.Name("False"), cst.Name("None")


@dataclass(frozen=True)
class Mutant:
    """One change of a file.

    :param lines: the first and last line of the statement that is changed.
    """

    path: str
    line: int
    lines: tuple[int, int]
    source: str

    def diff(self, original: str) -> str:
        """The changed lines, the old ones with `-` and the new ones with `+`."""
        lines = difflib.unified_diff(
            original.splitlines(), self.source.splitlines(), lineterm="", n=0
        )
        changed = (line for line in lines if not line.startswith(("---", "+++", "@@")))
        return "\n".join(f"    {line[0]} {line[1:].strip()}" for line in changed)


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Every mutant of a file, in the order of its lines; a few are no valid Python.

    :param path: where it is, relative to the repository.
    """
    visitor = _Visitor(source)
    MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True).visit(visitor)
    made = {}
    for line, lines, mutated in visitor.found:
        if mutated != source and mutated not in made:
            made[mutated] = Mutant(path, line, lines, mutated)
    return sorted(made.values(), key=lambda mutant: mutant.line)


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[tuple[int, tuple[int, int], str]] = []
        self._source = source
        self._lines = source.splitlines(keepends=True)
        self._module = cst.Module([])
        self._statements: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Module):
            self._module = node
        if _is_untouched(node):
            return False
        if isinstance(node, cst.Raise):
            self._add(node, cst.Pass())
            return False
        if isinstance(node, (cst.SimpleStatementLine, cst.BaseCompoundStatement)):
            self._statements.append(node)
        for changed in _changes_of(node):
            self._add(node, changed)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self._statements and self._statements[-1] is original_node:
            self._statements.pop()

    def _add(self, node: cst.CSTNode, changed: cst.CSTNode) -> None:
        where = self.get_metadata(PositionProvider, node)
        begin, end = self._offset(where.start), self._offset(where.end)
        text = self._module.code_for_node(changed).strip()
        if self._source[begin:end] != self._module.code_for_node(node).strip():
            mutated = self._module.deep_replace(node, changed).code  # slow, but always right
        else:
            mutated = self._source[:begin] + text + self._source[end:]
        self.found.append((where.start.line, self._statement_lines(where.end.line), mutated))

    def _statement_lines(self, last: int) -> tuple[int, int]:
        """Lines of the innermost statement; of a compound one, down to where the change is."""
        if not self._statements:
            return (1, last)
        where = self.get_metadata(PositionProvider, self._statements[-1])
        simple = isinstance(self._statements[-1], cst.SimpleStatementLine)
        return (where.start.line, where.end.line if simple else last)

    def _offset(self, position: cst.metadata.CodePosition) -> int:
        return sum(map(len, self._lines[: position.line - 1])) + position.column


def _called(node: cst.CSTNode) -> str:
    """`f` for the calls `f()` and `a.f()`; "" for anything else."""
    if isinstance(node, cst.Call):
        if isinstance(node.func, cst.Name):
            return node.func.value
        if isinstance(node.func, cst.Attribute):
            return node.func.attr.value
    return ""


def _is_untouched(node: cst.CSTNode) -> bool:
    if isinstance(node, (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator)):
        return True
    if isinstance(node, cst.SimpleStatementLine):
        first = node.body[0]
        if isinstance(first, cst.Expr) and isinstance(first.value, cst.BaseString):
            return True  # a docstring
    if isinstance(node, cst.If) and isinstance(node.test, cst.Name):
        return node.test.value == "TYPE_CHECKING"
    if isinstance(node, cst.AnnAssign) and isinstance(node.annotation.annotation, cst.Name):
        return node.annotation.annotation.value == "TypeAlias"
    name = _called(node)
    return name in _LOGGERS or name in _UNTOUCHED_CALLS


def _changes_of(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for kind, operator in _FROM_MUTMUT:
        if isinstance(node, kind):
            yield from operator(node)
    if isinstance(node, cst.SimpleString) and not node.value.startswith(('"""', "'''")):
        yield node.with_changes(value=f"{node.prefix}{node.quote}XX{node.raw_value}XX{node.quote}")
    elif isinstance(node, cst.Call):
        yield from _without_arguments(node)
    elif isinstance(node, (cst.If, cst.IfExp)):
        yield from (node.with_changes(test=test) for test in (_TRUE, _FALSE))
    elif isinstance(node, cst.CompIf):
        yield node.with_changes(test=_TRUE)
    elif isinstance(node, cst.While):
        yield node.with_changes(test=_FALSE)
    elif isinstance(node, cst.BooleanOperation):
        yield from (node.left, node.right)
    elif isinstance(node, cst.Return) and node.value is not None:
        if not (isinstance(node.value, cst.Name) and node.value.value == "None"):
            yield node.with_changes(value=_NONE)
    elif isinstance(node, cst.Expr) and isinstance(node.value, (cst.Call, cst.Await)):
        yield cst.Pass()


def _without_arguments(call: cst.Call) -> Iterator[cst.Call]:
    """The call with None in place of an argument, and without one that has a name."""
    for i, argument in enumerate(call.args):
        is_none = isinstance(argument.value, cst.Name) and argument.value.value == "None"
        if not argument.star and not is_none:
            replaced = argument.with_changes(value=_NONE)
            yield call.with_changes(args=[*call.args[:i], replaced, *call.args[i + 1 :]])
        if argument.keyword is not None and not is_none:
            yield call.with_changes(args=[*call.args[:i], *call.args[i + 1 :]])
