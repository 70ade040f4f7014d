"""The rules: sources -> executable -> layer -> image, one step a file.

`ko_pants.engine` comes before any rule: where rules call rules by name it imports them in the order
that they need.
"""

import ko_pants.engine  # noqa: F401
