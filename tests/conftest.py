"""What holds for every test."""

from hypothesis import HealthCheck, settings

# How long an example takes says nothing where other tests share the machine.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
