"""The one place that knows which Pants is running.

Rules ask the engine for things only through the functions of this module. They exist in two
spellings, `engine_get` (Pants 2.17 to 2.31: `Get`, `MultiGet`) and `engine_call` (2.32 and newer:
call by name), with the same names and types; importing this module yields one of the two. Both
engines read plain async functions called from a rule, so rule bodies are the same for all.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from pants.engine import rules as _rules

if TYPE_CHECKING:
    from ko_pants.engine_get import *  # noqa: F403
else:
    _spelling = "ko_pants.engine_get" if hasattr(_rules, "Get") else "ko_pants.engine_call"
    _spec = importlib.util.find_spec(_spelling)
    _module = importlib.util.module_from_spec(_spec)
    # Under both names before it runs: the call-by-name spelling imports our rule modules, and these
    # import this one.
    sys.modules[_spelling] = sys.modules[__name__] = _module
    _spec.loader.exec_module(_module)
