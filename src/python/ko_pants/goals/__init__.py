"""The goals: package, publish, run, and our own.

`ko_pants.engine` comes before any of them: it imports rules in the order that they need.
"""

import ko_pants.engine  # noqa: F401
