"""Pants 2.17 that starts in a third of the time, for tests: no engine is made to look for plugins.

At each start Pants makes an engine with all rules of its Python backend, which resolves the
requirements in `[GLOBAL].plugins`. It takes two thirds of the CPU of a start, and has nothing to do
where there are no plugins. Here it is made when there are some. Python imports this module by its
name when it starts, because a workspace has this directory in PYTHONPATH.

Other versions of Pants start as they are, and so does the Pants of workspaces with `PLAIN_PANTS`:
those of the main job and of the wheel.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional, Sequence

_MODULE = "pants.init.options_initializer"


def _look_for_plugins_if_there_are_any(module: ModuleType) -> None:
    names = vars(module)
    make_engine: Any = names.get("create_bootstrap_scheduler")
    resolver: Any = names.get("PluginResolver")
    if make_engine is None or resolver is None:
        return

    class Resolver:
        def __init__(self, arguments: Sequence[Any]) -> None:
            self._arguments = arguments

        def resolve(self, options_bootstrapper: Any, env: Any) -> Any:
            if not options_bootstrapper.get_bootstrap_options().for_global_scope().plugins:
                from pants.init import plugin_resolver

                return vars(plugin_resolver)["global_working_set"]
            return resolver(make_engine(*self._arguments)).resolve(options_bootstrapper, env)

    names["create_bootstrap_scheduler"] = lambda *arguments: arguments
    names["PluginResolver"] = Resolver


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self,
        name: str,
        path: Optional[Sequence[str]],
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def then_change(module: ModuleType) -> None:
                execute(module)
                _look_for_plugins_if_there_are_any(module)

            spec.loader.exec_module = then_change  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())
