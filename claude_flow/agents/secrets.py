"""Which of a host's variables hold what nobody may read in a log, a comment or a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL|AUTH", re.IGNORECASE)
# Shorter values would mask ordinary words.
_SHORTEST = 8


def is_secret(name: str) -> bool:
    """Whether a variable is named like a secret."""
    return _SECRET_NAME.search(name) is not None


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of the variables that are named like secrets."""
    return tuple(
        value for name, value in environment.items() if is_secret(name) and len(value) >= _SHORTEST
    )
