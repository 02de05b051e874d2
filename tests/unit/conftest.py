"""Hypothesis: the same examples in each run; more with ``HYPOTHESIS_PROFILE=thorough``."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW_IS_FINE = [HealthCheck.too_slow]

settings.register_profile(
    "steady",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=200,
    suppress_health_check=_SLOW_IS_FINE,
)
settings.register_profile(
    "thorough", deadline=None, max_examples=3000, suppress_health_check=_SLOW_IS_FINE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
