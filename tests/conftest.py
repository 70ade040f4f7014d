"""How hypothesis searches: at random by hand, the same examples each time in a run of all tests.

`--hypothesis-profile=repeatable` is what `scripts/test` takes for all tests: what it finds on one
machine it finds on the next. `--hypothesis-profile=thorough` is for a search by hand.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadlines: a machine that has other work is slow, not wrong.
_SLOW_IS_FINE = (HealthCheck.too_slow,)

settings.register_profile("random", deadline=None, suppress_health_check=_SLOW_IS_FINE)
settings.register_profile(
    "repeatable", settings.get_profile("random"), derandomize=True, database=None
)
settings.register_profile("thorough", settings.get_profile("random"), max_examples=5000)
settings.load_profile("random")
