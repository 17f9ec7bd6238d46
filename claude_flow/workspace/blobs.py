"""Files as a branch on the server has them, read from the mirror: no agent wrote to it."""

from __future__ import annotations

from dataclasses import dataclass

from claude_flow.errors import CommittedFileError
from claude_flow.model.issue import Repository
from claude_flow.workspace.git import Git, Place
from claude_flow.workspace.mirror import Mirrors
from claude_flow.workspace.places import Places

_KINDS = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a directory"}


@dataclass(frozen=True, slots=True)
class Blobs:
    """Reads single files. Raises WorkspaceError."""

    git: Git
    mirrors: Mirrors
    places: Places

    async def read(
        self, repository: Repository, branch: str, path: str, *, max_bytes: int
    ) -> bytes | None:
        """See ``ports.Workspaces.committed_file``."""
        place = Place(self.places.mirror(repository))
        commit = await self.git.text(
            place, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}"
        )
        listing = await self.git.text(
            place, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", path
        )
        if not listing:
            return None
        mode, _, blob = listing.partition("\t")[0].split(" ")
        if mode in _KINDS:
            raise CommittedFileError(f"{path} is {_KINDS[mode]}, not a file")
        await self.mirrors.bring_files(repository, commit)
        size = int(await self.git.text(place, "cat-file", "-s", blob))
        if size > max_bytes:
            raise CommittedFileError(f"{path} has {size} bytes; {max_bytes} are read at most")
        done = await self.git.run(place, "cat-file", "blob", blob)
        return done.stdout
