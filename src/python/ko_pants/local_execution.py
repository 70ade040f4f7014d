"""Where processes run that need a file or a link of this machine."""

from __future__ import annotations

from typing import Any

from pants.engine.internals.native_engine import ProcessExecutionEnvironment
from pants.engine.platform import Platform


def local_execution() -> ProcessExecutionEnvironment:
    """The machine where Pants runs, also with `remote_execution`."""
    values: dict[str, Any] = {
        "environment_name": None,
        "platform": Platform.create_for_localhost().value,
        "docker_image": None,
        "remote_execution": False,
        "remote_execution_extra_platform_properties": [],
    }
    # Pants 2.22 wants the first, and 2.27 both.
    for name, value in (("execute_in_workspace", False), ("keep_sandboxes", "never")):
        try:
            return ProcessExecutionEnvironment(**values)
        except TypeError:
            values[name] = value
    return ProcessExecutionEnvironment(**values)
