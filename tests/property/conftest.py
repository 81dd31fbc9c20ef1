"""How much hypothesis tries: the same stories on every run, unless BAYPLAN_STORIES asks for more and for new ones."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("ci", derandomize=True, max_examples=70, deadline=None, suppress_health_check=slow)
settings.register_profile(
    "wide",
    settings.get_profile("ci"),
    derandomize=False,
    max_examples=int(os.environ.get("BAYPLAN_STORIES", "2000")),
    phases=[Phase.explicit, Phase.generate],  # a long story is read sooner than it is shrunk
)
settings.load_profile("wide" if "BAYPLAN_STORIES" in os.environ else "ci")
