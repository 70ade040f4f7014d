"""Puts the changed functions of a mutant in the place of those that are loaded."""

from __future__ import annotations

import gc
from types import CodeType, FunctionType

_OPTIMIZED = 0x1  # set for functions, not for the bodies of modules and classes


def changed_functions(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]] | None:
    """The functions that differ in two compilations of a module; None when anything else does.

    Of nested functions it is the outermost one.
    """
    inner = list(zip(_codes(old), _codes(new)))
    if _shell(old) != _shell(new):
        return None
    found = []
    for before, after in inner:
        if before.co_flags & _OPTIMIZED:
            if not _same(before, after):
                found.append((before, after))
        else:
            below = changed_functions(before, after)
            if below is None:
                return None
            found += below
    return found


def loaded_functions(root: str) -> list[FunctionType]:
    """Every function in memory whose source is below `root`."""
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(root)
    ]


def swap(
    functions: list[FunctionType], path: str, changed: list[tuple[CodeType, CodeType]]
) -> bool:
    """Give the functions of file `path` their new code; False when one is not there, or cannot."""
    for old, new in changed:
        mine = [f for f in functions if f.__code__.co_filename == path and _is(f.__code__, old)]
        if not mine or any(f.__code__.co_freevars != new.co_freevars for f in mine):
            return False
        for function in mine:
            function.__code__ = new
    return True


def _is(loaded: CodeType, compiled: CodeType) -> bool:
    return (loaded.co_name, loaded.co_firstlineno) == (compiled.co_name, compiled.co_firstlineno)


def _codes(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _shell(code: CodeType) -> tuple[object, ...]:
    """A code object without the code objects in it, and without line numbers."""
    constants = [repr(c) for c in code.co_consts if not isinstance(c, CodeType)]
    return (
        *(code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars),
        *(code.co_flags, code.co_name, constants, len(_codes(code))),
        *(code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount),
    )


def _same(old: CodeType, new: CodeType) -> bool:
    return _shell(old) == _shell(new) and all(map(_same, _codes(old), _codes(new)))
