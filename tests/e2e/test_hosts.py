"""Two hosts on one database, before one GitHub: never two agents on one issue."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from claude_flow.errors import EXIT_TRY_AGAIN
from claude_flow.testing.daemon_process import until
from claude_flow.testing.installation import Installation
from claude_flow.testing.postgresql import postgresql_server
from claude_flow.testing.world import World

HOST_TIMEOUT_SECONDS = 30
PATIENCE_SECONDS = 4 * HOST_TIMEOUT_SECONDS

# Says that it is there, with the host's name and the time since boot, until it may end.
WORK = """\
me = Path.cwd().relative_to({root!r}).parts[0]
while not os.path.exists({flag!r}):
    with open({log!r}, "a") as log:
        print(me, time.clock_gettime(time.CLOCK_BOOTTIME), file=log)
    time.sleep(.1)
Path("greeting.txt").write_text(me)
"""


@pytest.fixture
def hosts(world: World, tmp_path: Path) -> Iterator[dict[str, Installation]]:
    """Two hosts that share a database."""
    with (
        postgresql_server() as server,
        Installation(tmp_path / "one", world) as one,
        Installation(tmp_path / "two", world) as two,
    ):
        database = server.new_database()
        for host in (one, two):
            host.config.chmod(0o600)  # the database's address is secret
            host.configure(
                engine={"database_url": database, "host_timeout_seconds": HOST_TIMEOUT_SECONDS}
            )
        yield {"one": one, "two": two}


def test_a_frozen_hosts_agent_ends_before_another_host_begins(
    hosts: dict[str, Installation], world: World, tmp_path: Path
) -> None:
    flag, log = tmp_path / "go", tmp_path / "agents.log"
    work = WORK.format(root=str(tmp_path), flag=str(flag), log=str(log))
    repository = hosts["one"].add_repository("acme/shared")
    hosts["two"].configure(github={"repositories": [str(repository)]})
    issue = hosts["one"].issue(repository, work)

    def seen(host: str) -> list[float]:
        lines = log.read_text().splitlines() if log.exists() else []
        words = [line.split() for line in lines]
        return [float(line[1]) for line in words if len(line) == 2 and line[0] == host]

    first = hosts["one"].start()
    until(lambda: seen("one"), first.last_words, PATIENCE_SECONDS)
    second = hosts["two"].start()
    assert second.runs(issue)
    first.signal(signal.SIGSTOP)
    until(lambda: seen("two"), second.last_words, PATIENCE_SECONDS)
    assert hosts["one"].agents() == []
    assert max(seen("one")) < min(seen("two"))

    first.signal(signal.SIGCONT)
    assert first.wait(PATIENCE_SECONDS) == EXIT_TRY_AGAIN, first.last_words()
    flag.touch()
    run = hosts["two"].ended(second, issue)
    assert (run["reason"], len(run["attempts"])) == ("pull_request_opened", 1)
    # Back again, the first finds nothing of its own to do.
    assert hosts["one"].ended(hosts["one"].start(), issue) == run
    assert max(seen("one")) < min(seen("two"))
    github = world.github
    assert len(github.pull_requests(repository)) == 1
    assert len(github.comments(issue)) == 1
    branch = f"claude-flow/issue-{issue.number}"
    assert github.files(repository, branch)["greeting.txt"] == "two"
