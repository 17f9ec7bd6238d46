"""Values of a JSON document that another program wrote and that may hold anything."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any


def as_mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_mappings(value: object) -> list[dict[str, Any]]:
    """The objects of a list, or none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """The text, or None for an empty one and for anything else."""
    return value if isinstance(value, str) and value else None


def as_count(value: object) -> int | None:
    """The whole number from 0 up, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def as_amount(value: object) -> float | None:
    """The finite number from 0 up, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def as_moment(value: object) -> datetime | None:
    """The moment so many seconds after 1970, or None."""
    seconds = as_count(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
