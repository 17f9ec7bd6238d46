"""What a change may be and still be published: a pure judgement."""

from __future__ import annotations

from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from claude_flow.ports import Changes

_NAMED_PATHS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLimits:
    """Bounds of one run's change; None is no bound. The paths are patterns of ``.gitignore``."""

    max_files: int | None = None
    max_lines: int | None = None
    forbidden_paths: tuple[str, ...] = ()


def why_unpublishable(changes: Changes, limits: ChangeLimits) -> str | None:
    """What about the change goes beyond the limits, and which setting says so; None if nothing."""
    found = [
        _forbidden(changes.paths, limits.forbidden_paths),
        _too_many("files", changes.files, limits.max_files),
        _too_many("lines", changes.lines, limits.max_lines),
    ]
    return " ".join(sentence for sentence in found if sentence) or None


def _forbidden(paths: tuple[str, ...], patterns: tuple[str, ...]) -> str | None:
    for pattern in patterns:
        matches = GitIgnoreSpec.from_lines([pattern]).match_file
        # A line break must not end what a `*` stands for.
        touched = [path for path in paths if matches(path.replace("\n", " "))]
        if touched:
            more = len(touched) - _NAMED_PATHS
            named = ", ".join(repr(path) for path in touched[:_NAMED_PATHS])
            return (
                f"The change touches {named}{f' and {more} more' if more > 0 else ''}, "
                f"which workflow.forbidden_paths rules out ({pattern!r})."
            )
    return None


def _too_many(what: str, found: int, most: int | None) -> str | None:
    if most is None or found <= most:
        return None
    return f"The change has {found} {what}; workflow.max_changed_{what} allows {most}."
