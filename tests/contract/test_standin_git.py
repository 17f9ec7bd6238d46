"""The stand-in's git server, used by git itself."""

import base64
import gzip
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from claude_flow.testing.checked_world import checked_world
from claude_flow.testing.world import World

NAME = "octo/widgets"


class Git:
    """git in a directory; ``token`` None asks without credentials."""

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory = directory
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def run(self, *arguments: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        if token is not None:
            basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
            identity += ["-c", f"http.extraHeader=Authorization: Basic {basic}"]
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def commit(self, name: str, content: bytes) -> None:
        (self.directory / name).write_bytes(content)
        assert self.run("add", ".").returncode == 0
        assert self.run("commit", "-m", f"Add {name}").returncode == 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with checked_world(tmp_path / "world") as world:
        world.github.add_repository(NAME, files={"a.py": "x = 1\n", "ä/ü.txt": "ö\n"})
        yield world


@pytest.fixture
def clone(world: World, tmp_path: Path) -> Git:
    directory = tmp_path / "clone"
    directory.mkdir()
    git = Git(directory, tmp_path)
    done = git.run("clone", f"{world.git_base_url}/{NAME}.git", ".")
    assert done.returncode == 0, done.stderr
    assert git.run("checkout", "-b", "work").returncode == 0
    return git


def test_a_clone_holds_the_files(clone: Git) -> None:
    assert (clone.directory / "a.py").read_text() == "x = 1\n"
    assert (clone.directory / "ä" / "ü.txt").read_text() == "ö\n"


def test_a_push_with_the_token_arrives(world: World, clone: Git) -> None:
    clone.commit("b.py", b"y = 2\n")
    done = clone.run("push", "origin", "work", token=world.token)
    assert done.returncode == 0, done.stderr
    assert world.github.files(NAME, "work")["b.py"] == "y = 2\n"


def test_a_push_larger_than_one_buffer_arrives(world: World, clone: Git) -> None:
    content = os.urandom(4 * 1024 * 1024)
    clone.commit("large.bin", content)
    done = clone.run("push", "origin", "work", token=world.token)
    assert done.returncode == 0, done.stderr
    server = world.github.git.path(NAME)
    size = clone.run(f"--git-dir={server}", "cat-file", "-s", "work:large.bin").stdout
    assert int(size) == len(content)


def test_a_packed_request_is_understood(world: World) -> None:
    # git packs what it asks for once that is longer than a kilobyte.
    answer = requests.post(
        f"{world.git_base_url}/{NAME}.git/git-upload-pack",
        data=gzip.compress(b"0014command=ls-refs\n0000"),
        headers={
            "Content-Encoding": "gzip",
            "Content-Type": "application/x-git-upload-pack-request",
            "Git-Protocol": "version=2",
        },
        timeout=10,
    )
    assert world.github.branches(NAME)["main"].encode() in answer.content


def test_nobody_pushes_without_a_token(world: World, clone: Git) -> None:
    clone.commit("b.py", b"y = 2\n")
    assert clone.run("push", "origin", "work").returncode != 0
    assert clone.run("push", "origin", "work", token="ghp_wrong").returncode != 0
    assert set(world.github.branches(NAME)) == {"main"}


def test_readers_may_not_push(world: World, clone: Git) -> None:
    clone.commit("b.py", b"y = 2\n")
    done = clone.run("push", "origin", "work", token=world.github.add_token("reader"))
    assert "403" in done.stderr
    assert set(world.github.branches(NAME)) == {"main"}


def test_a_protected_branch_rejects_a_push(world: World, clone: Git) -> None:
    world.github.protect_branch(NAME, "main")
    clone.commit("b.py", b"y = 2\n")
    done = clone.run("push", "origin", "work:main", token=world.token)
    assert done.returncode != 0
    assert "GH006: Protected branch update failed for refs/heads/main" in done.stderr
    assert clone.run("push", "origin", "work", token=world.token).returncode == 0


def test_a_branch_that_moved_rejects_a_push(world: World, clone: Git) -> None:
    world.github.commit(NAME, "main", {"c.py": "z = 3\n"})
    clone.commit("b.py", b"y = 2\n")
    done = clone.run("push", "origin", "work:main", token=world.token)
    assert "rejected" in done.stderr
    assert "b.py" not in world.github.files(NAME)


def test_a_private_repository_shows_itself_to_its_people_only(world: World, clone: Git) -> None:
    world.github.add_repository("octo/secret", private=True)
    url = f"{world.git_base_url}/octo/secret.git"
    assert clone.run("ls-remote", url).returncode != 0
    stranger = clone.run("ls-remote", url, token=world.github.add_token("stranger"))
    assert "not found" in stranger.stderr
    assert "refs/heads/main" in clone.run("ls-remote", url, token=world.token).stdout


def test_a_renamed_repository_is_found_under_its_old_name(world: World, clone: Git) -> None:
    world.github.rename_repository(NAME, "gadgets")
    clone.commit("b.py", b"y = 2\n")
    assert clone.run("fetch", "origin").returncode == 0
    done = clone.run("push", "origin", "work", token=world.token)
    assert done.returncode == 0, done.stderr
    assert "work" in world.github.branches("octo/gadgets")


def test_an_empty_repository_can_be_cloned_and_filled(world: World, clone: Git) -> None:
    world.github.add_repository("octo/empty", files={})
    url = f"{world.git_base_url}/octo/empty.git"
    assert clone.run("ls-remote", url).stdout == ""
    assert clone.run("push", url, "work:main", token=world.token).returncode == 0
    assert "a.py" in world.github.files("octo/empty")


def test_a_pull_request_has_a_page_that_shows_its_change(world: World, clone: Git) -> None:
    clone.commit("b.py", b"y = '<script>'\n")
    assert clone.run("push", "origin", "work", token=world.token).returncode == 0
    answer = requests.post(
        f"{world.api_url}/repos/{NAME}/pulls",
        json={"title": "T", "head": "work", "base": "main", "body": "Closes #1"},
        headers={"Authorization": f"token {world.token}"},
        timeout=10,
    )
    pull = answer.json()
    assert pull["head"]["sha"] == world.github.branches(NAME)["work"]
    assert pull["commits"] == 1
    page = requests.get(pull["html_url"], timeout=10).text
    assert "+y = &#x27;&lt;script&gt;&#x27;" in page
    assert "<script>" not in page
