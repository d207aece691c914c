"""Settings of the property tests: no deadline, as the machine is shared."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("autoscale", deadline=None, max_examples=40)
settings.load_profile("autoscale")
