from datetime import UTC, datetime, timedelta

from claude_flow.engine.peers import Beat, PeerWatch

BEAT = Beat("two", datetime(2026, 1, 1, tzinfo=UTC), timeout_seconds=10)
NEXT = Beat("two", BEAT.at + timedelta(seconds=1), timeout_seconds=10)
# The database's clock was set back.
EARLIER = Beat("two", BEAT.at - timedelta(hours=1), timeout_seconds=10)


def test_a_host_is_dead_once_its_beat_was_the_same_for_too_long() -> None:
    peers = PeerWatch()
    assert peers.dead([BEAT], now=100) == []
    assert peers.dead([BEAT], now=110) == []
    assert peers.dead([BEAT], now=110.1) == [BEAT]


def test_any_other_beat_is_a_sign_of_life() -> None:
    peers = PeerWatch()
    for now, beat in ((100, BEAT), (109, NEXT), (118, EARLIER), (127, NEXT)):
        assert peers.dead([beat], now=now) == []


def test_each_host_names_its_own_time() -> None:
    patient = Beat("three", BEAT.at, timeout_seconds=20)
    peers = PeerWatch()
    peers.dead([BEAT, patient], now=0)
    assert peers.dead([BEAT, patient], now=15) == [BEAT]
    assert peers.dead([BEAT, patient], now=21) == [BEAT, patient]


def test_what_was_not_watched_does_not_count() -> None:
    peers = PeerWatch()
    peers.dead([BEAT], now=0)
    peers.forget()
    assert peers.dead([BEAT], now=100) == []
