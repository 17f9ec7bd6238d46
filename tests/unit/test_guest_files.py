"""What an agent may have put in the place of a file that is to be read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_flow.guest_files import names_below, open_below

INNER = Path("a", "b", "file")


def linked_file(top: Path, secret: Path) -> None:
    (top / INNER).unlink()
    (top / INNER).symlink_to(secret)


def linked_directory(top: Path, secret: Path) -> None:
    (top / "a").rename(top / "moved")
    (top / "a").symlink_to("moved")
    assert (top / INNER).exists()
    assert secret.exists()


def hard_link(top: Path, secret: Path) -> None:
    (top / INNER).unlink()
    (top / INNER).hardlink_to(secret)


def pipe(top: Path, _: Path) -> None:
    (top / INNER).unlink()
    os.mkfifo(top / INNER)


def directory(top: Path, _: Path) -> None:
    (top / INNER).unlink()
    (top / INNER).mkdir()


def file_on_the_way(top: Path, _: Path) -> None:
    (top / INNER).unlink()
    (top / "a" / "b").rmdir()
    (top / "a" / "b").touch()


def nothing(top: Path, _: Path) -> None:
    (top / INNER).unlink()


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / INNER).parent.mkdir(parents=True)
    (top / INNER).write_text("what it holds")
    return top


def test_a_file_is_read_and_its_directory_listed(top: Path) -> None:
    with open_below(top, INNER) as file:
        assert file.read() == b"what it holds"
    (top / "a" / "another").touch()
    assert names_below(top, Path("a"), at_most=10) == ["another", "b"]
    assert len(names_below(top, Path("a"), at_most=1)) == 1


@pytest.mark.parametrize(
    "lay",
    [linked_file, linked_directory, hard_link, pipe, directory, file_on_the_way, nothing],
)
def test_nothing_else_is_opened_and_no_file_stays_open(
    top: Path, tmp_path: Path, lay: Callable[[Path, Path], None]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    lay(top, secret)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names are all it is about
    with pytest.raises(OSError, match=r".") as caught:
        open_below(top, INNER)
    assert "hunter2" not in str(caught.value)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208 - likewise


def test_the_top_is_no_link_either(top: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(top)
    with pytest.raises(OSError, match="Not a directory"):
        open_below(link, INNER)
    with pytest.raises(OSError, match="Not a directory"):
        names_below(link, Path("a"), at_most=10)
