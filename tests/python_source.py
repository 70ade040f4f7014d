"""What tests read out of Python source."""

from __future__ import annotations

import ast
from typing import Dict, Union


def assigned(node: Union[ast.Module, ast.ClassDef]) -> Dict[str, ast.expr]:
    """The names that a module or class assigns, with the expressions."""
    return {
        target.id: statement.value
        for statement in node.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
