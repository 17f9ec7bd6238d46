"""The known name that a mistyped one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable

_SLIPS = 2


def distance(left: str, right: str, most: int) -> int:
    """Slips between two names: letters left out, added, changed or swapped with the next.

    Counting ends where there are more than ``most``; then any larger number is the answer.
    """
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
        if min(row) > most and min(before) > most:  # a swap looks two rows back
            return most + 1
    return row[-1]


def slip_of(name: str, known: Iterable[str]) -> str | None:
    """The known name that is at most two slips away; the nearest, then the first by name.

    In a short name two slips are another word, so there only one counts.
    """
    allowed = _SLIPS if len(name) > _SLIPS * 2 else 1
    near = [
        (distance(name, candidate, allowed), candidate)
        for candidate in known
        if abs(len(candidate) - len(name)) <= allowed
    ]
    slips, nearest = min(near, default=(allowed + 1, ""))
    return nearest if slips <= allowed else None
