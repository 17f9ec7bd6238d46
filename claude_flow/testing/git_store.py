"""The bare repositories behind the stand-in's git server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from claude_flow.testing.git_side import Changes

_PROTECTED = "protected-branches"
# Called by receive-pack with: ref old new. Refuses what GitHub refuses: a protected branch, and
# pointers of Git LFS whose objects nobody brought.
_UPDATE_HOOK = rf"""#!/bin/sh
if grep -qxF -- "$1" "$GIT_DIR/{_PROTECTED}" 2>/dev/null; then
    echo "error: GH006: Protected branch update failed for $1." >&2
    exit 1
fi
case "$3" in *[!0]*) ;; *) exit 0;; esac
unknown=$(
    git rev-list --objects --no-object-names "$3" --not --all |
    git cat-file --batch-check='%(objecttype) %(objectsize) %(objectname)' |
    awk '$1 == "blob" && $2 <= 1024 {{ print $3 }}' |
    git cat-file --batch |
    grep -a -A1 '^version https://git-lfs\.github\.com/spec/v1$' |
    sed -n 's/^oid sha256:\(\(..\)\(..\).*\)$/\2\/\3\/\1/p' |
    while read -r path; do
        test -f "$GIT_DIR/lfs/objects/$path" || echo "    ${{path##*/}}"
    done
)
if [ -n "$unknown" ]; then
    echo "error: GH008: Your push referenced at least 1 unknown Git LFS object:" >&2
    printf '%s\n' "$unknown" "Try to push them with 'git lfs push --all'." >&2
    exit 1
fi
"""


class GitStore:
    """Bare git repositories under one directory, ``<root>/<owner>/<name>.git``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        # Nothing of the machine's or the user's own git configuration may take effect.
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "LANG": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    def path(self, full_name: str) -> Path:
        """Where the repository lives, existing or not."""
        return self.root / f"{full_name}.git"

    def create(self, full_name: str, files: Mapping[str, str], default_branch: str) -> None:
        """Make a repository whose default branch holds ``files``; empty without files."""
        path = self.path(full_name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet", "--bare", f"--initial-branch={default_branch}", str(path))
        self._git(f"--git-dir={path}", "config", "uploadpack.allowFilter", "true")  # as GitHub does
        hook = path / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_UPDATE_HOOK)
        hook.chmod(0o755)
        if files:
            self.commit(full_name, default_branch, files, "Begin", author="octocat")

    def commit(
        self, full_name: str, branch: str, files: Mapping[str, str], message: str, *, author: str
    ) -> str:
        """Add or replace ``files`` on ``branch``, begun at the default one if it is new."""
        parent = branch if branch in self.branches(full_name) else self._default(full_name)
        lines = [
            f"commit refs/heads/{branch}",
            f"committer {author} <{author}@users.noreply.github.com> now",
            f"data {len(message.encode())}",
            message,
        ]
        if parent is not None:
            lines.append(f"from refs/heads/{parent}^0")
        for name, text in files.items():
            lines += [f"M 100644 inline {name}", f"data {len(text.encode())}", text]
        stream = "\n".join([*lines, "done", ""])
        self._in(full_name, "fast-import", "--quiet", "--done", "--date-format=now", stdin=stream)
        return self._in(full_name, "rev-parse", f"refs/heads/{branch}").strip()

    def move(self, old: str, new: str) -> None:
        """Rename a repository."""
        self.path(new).parent.mkdir(parents=True, exist_ok=True)
        self.path(old).rename(self.path(new))

    def protect(self, full_name: str, branch: str) -> None:
        """From now on refuse every push to ``branch``."""
        with (self.path(full_name) / _PROTECTED).open("a") as file:
            file.write(f"refs/heads/{branch}\n")

    def branches(self, full_name: str) -> dict[str, str]:
        """All branches and their commits."""
        listing = self._in(
            full_name, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
        )
        return dict(line.split(" ", 1) for line in listing.splitlines())

    def ahead(self, full_name: str, base: str, head: str) -> int:
        """How many commits ``head`` has that ``base`` has not."""
        count = self._in(full_name, "rev-list", "--count", f"refs/heads/{base}..refs/heads/{head}")
        return int(count)

    def changes(self, full_name: str, base: str, head: str) -> Changes:
        """What ``head`` changed since it left ``base``; binary files count no lines."""
        listing = self._in(full_name, "diff", "--numstat", f"refs/heads/{base}...refs/heads/{head}")
        counts = [line.split("\t")[:2] for line in listing.splitlines()]
        added, deleted = (
            sum(int(count[side]) for count in counts if count[side] != "-") for side in (0, 1)
        )
        return Changes(len(counts), added, deleted)

    def files(self, full_name: str, branch: str) -> dict[str, str]:
        """The text files of a branch and their contents."""
        names = self._in(full_name, "ls-tree", "-r", "-z", "--name-only", f"refs/heads/{branch}")
        return {
            name: self._in(full_name, "cat-file", "blob", f"refs/heads/{branch}:{name}")
            for name in names.split("\0")
            if name
        }

    def diff(self, full_name: str, base: str, head: str) -> str:
        """The changes of ``head`` since it left ``base``, as a patch."""
        return self._in(full_name, "diff", f"refs/heads/{base}...refs/heads/{head}")

    def _default(self, full_name: str) -> str | None:
        """The default branch; None as long as nothing was committed to it."""
        name = self._in(full_name, "symbolic-ref", "--short", "HEAD").strip()
        return name if name in self.branches(full_name) else None

    def _in(self, full_name: str, *arguments: str, stdin: str | None = None) -> str:
        return self._git(f"--git-dir={self.path(full_name)}", *arguments, stdin=stdin)

    def _git(self, *arguments: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 -- git is found on the PATH, as the service does
            env=self.environment,
            cwd=self.root,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
