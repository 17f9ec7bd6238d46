"""Ending processes: what is returned when even SIGKILL does not help."""

import signal
from itertools import count

import psutil

from claude_flow.execution.sweep import end_processes


class Immortal(psutil.Process):
    """This very process, to which no signal gets."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[int] = []

    def send_signal(self, sig: int) -> None:
        self.sent.append(sig)


def test_it_gives_up_on_what_does_not_end_and_names_it() -> None:
    seconds = count()
    immortal = Immortal()
    left = end_processes(
        lambda: [immortal],
        grace_seconds=3,
        clock=lambda: float(next(seconds)),
        wait=lambda: None,
    )
    assert left == [immortal.pid]
    assert immortal.sent[0] == signal.SIGTERM
    assert set(immortal.sent[1:]) == {signal.SIGKILL}
