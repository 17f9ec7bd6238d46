from pathlib import Path

import pytest

from claude_flow.errors import EngineError, LeaseLostError
from claude_flow.execution.lease import FileLease, held_until


class Time:
    """Seconds since a boot that a test passes."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def lease(tmp_path: Path, time: Time) -> FileLease:
    return FileLease(tmp_path / "made" / "lease", now=time)


def test_it_is_held_from_its_renewal_until_it_says(lease: FileLease, time: Time) -> None:
    assert not lease.is_held()
    with pytest.raises(LeaseLostError, match="not heard in the shared database"):
        lease.require()
    lease.renew(until=142.5)
    assert held_until(lease.path) == 142.5
    assert lease.require() == 100
    time.seconds = 142.5
    assert not lease.is_held()


def test_attempts_see_it_under_other_names(lease: FileLease, tmp_path: Path) -> None:
    lease.renew(until=110)
    seen = tmp_path / "seen"
    seen.hardlink_to(lease.path)
    lease.renew(until=120)
    assert held_until(seen) == 120
    lease.revoke()
    assert held_until(seen) == 0


def test_a_lapse_is_remembered(lease: FileLease, time: Time) -> None:
    lease.renew(until=110)
    time.seconds = 105
    lease.renew(until=115)
    assert not lease.has_lapsed_since(101)
    time.seconds = 116
    assert lease.has_lapsed_since(101), "it is over"
    lease.renew(until=126)
    assert lease.has_lapsed_since(101), "it was over"
    assert not lease.has_lapsed_since(116.5)


def test_what_an_earlier_daemon_let_lapse_is_known(lease: FileLease, time: Time) -> None:
    lease.renew(until=110)
    time.seconds = 200
    later = FileLease(lease.path, now=time)
    later.renew(until=210)
    assert later.has_lapsed_since(0)
    kept = FileLease(lease.path, now=time)
    kept.renew(until=220)
    assert not kept.has_lapsed_since(0)


def test_one_that_cannot_be_shown_is_an_error(tmp_path: Path, time: Time) -> None:
    (tmp_path / "file").touch()
    lease = FileLease(tmp_path / "file" / "lease", now=time)
    with pytest.raises(EngineError, match="cannot renew this host's lease"):
        lease.renew(until=110)
    assert not lease.is_held()
