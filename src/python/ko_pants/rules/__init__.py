"""The rules: sources -> executable -> layer -> image, one step a file.

The engine's spelling is chosen before any rule is defined.
"""

import ko_pants.engine  # noqa: F401
