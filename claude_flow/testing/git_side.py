"""What the stand-in GitHub needs from git, and a memory that does for fakes."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Changes:
    """The size of a change: files, and lines in them."""

    files: int
    additions: int
    deletions: int


class GitSide(Protocol):
    """The repositories' branches."""

    def path(self, full_name: str) -> Path:
        """Where the repository lives, existing or not."""
        ...

    def create(self, full_name: str, files: Mapping[str, str], default_branch: str) -> None:
        """Make a repository whose default branch holds ``files``; empty without files."""
        ...

    def commit(
        self, full_name: str, branch: str, files: Mapping[str, str], message: str, *, author: str
    ) -> str:
        """Add or replace ``files`` on ``branch``, begun at the default one if it is new."""
        ...

    def move(self, old: str, new: str) -> None:
        """Rename a repository."""
        ...

    def protect(self, full_name: str, branch: str) -> None:
        """From now on refuse every push to ``branch``."""
        ...

    def branches(self, full_name: str) -> dict[str, str]:
        """All branches and their commits."""
        ...

    def ahead(self, full_name: str, base: str, head: str) -> int:
        """How many commits ``head`` has that ``base`` has not."""
        ...

    def changes(self, full_name: str, base: str, head: str) -> Changes:
        """What ``head`` changed since it left ``base``."""
        ...

    def files(self, full_name: str, branch: str) -> dict[str, str]:
        """The text files of a branch and their contents."""
        ...


@dataclass(slots=True)
class _Repository:
    default_branch: str
    protected: set[str] = field(default_factory=set)
    # Each branch as its commits, oldest first.
    history: dict[str, list[str]] = field(default_factory=dict)


class MemoryGit:
    """A ``GitSide`` without git: nothing can be cloned or pushed."""

    def __init__(self) -> None:
        self._repositories: dict[str, _Repository] = {}
        # The files of every commit.
        self._contents: dict[str, dict[str, str]] = {}

    def path(self, full_name: str) -> Path:
        """A path where nothing is."""
        return Path("/nonexistent") / f"{full_name}.git"

    def create(self, full_name: str, files: Mapping[str, str], default_branch: str) -> None:
        """See ``GitSide``."""
        self._repositories[full_name] = _Repository(default_branch)
        if files:
            self.commit(full_name, default_branch, files, "Begin", author="octocat")

    def commit(
        self, full_name: str, branch: str, files: Mapping[str, str], message: str, *, author: str
    ) -> str:
        """See ``GitSide``."""
        repository = self._repositories[full_name]
        start = branch if branch in repository.history else repository.default_branch
        history = list(repository.history.get(start, []))
        contents = {**(self._contents[history[-1]] if history else {}), **files}
        told = repr((history, sorted(contents.items()), message, author))
        commit = hashlib.sha1(told.encode(), usedforsecurity=False).hexdigest()
        repository.history[branch] = [*history, commit]
        self._contents[commit] = contents
        return commit

    def move(self, old: str, new: str) -> None:
        """See ``GitSide``."""
        self._repositories[new] = self._repositories.pop(old)

    def protect(self, full_name: str, branch: str) -> None:
        """See ``GitSide``."""
        self._repositories[full_name].protected.add(branch)

    def branches(self, full_name: str) -> dict[str, str]:
        """See ``GitSide``."""
        history = self._repositories[full_name].history
        return {branch: commits[-1] for branch, commits in sorted(history.items())}

    def ahead(self, full_name: str, base: str, head: str) -> int:
        """See ``GitSide``."""
        history = self._repositories[full_name].history
        return len(set(history[head]) - set(history[base]))

    def changes(self, full_name: str, base: str, head: str) -> Changes:
        """See ``GitSide``."""
        history = self._repositories[full_name].history
        common = [one for one in history[head] if one in history[base]]
        before = self._contents[common[-1]] if common else {}
        after = self._contents[history[head][-1]]
        changed = [
            name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
        ]
        marks = [
            line[:2]
            for name in changed
            for line in difflib.ndiff(
                before.get(name, "").splitlines(), after.get(name, "").splitlines()
            )
        ]
        return Changes(len(changed), marks.count("+ "), marks.count("- "))

    def files(self, full_name: str, branch: str) -> dict[str, str]:
        """See ``GitSide``."""
        return dict(self._contents[self._repositories[full_name].history[branch][-1]])
