"""What holds for all tests: how hypothesis searches, and that Ctrl-C can be tried.

By hand hypothesis searches at random; in a run of all tests it has the same examples each time.
`--hypothesis-profile=repeatable` is what `scripts/test` takes for all tests: what it finds on one
machine it finds on the next. `--hypothesis-profile=thorough` is for a search by hand.
"""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

# A shell without job control has what it starts with `&` ignore Ctrl-C, and so would all processes
# of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines: a machine that has other work is slow, not wrong.
_SLOW_IS_FINE = (HealthCheck.too_slow,)

settings.register_profile("random", deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile(
    "repeatable", settings.get_profile("random"), derandomize=True, database=None
)
settings.register_profile("thorough", settings.get_profile("random"), max_examples=5000)
settings.load_profile("random")
