"""The whole line as a GitHub App: its tokens end, and are taken away, in the middle of it."""

from __future__ import annotations

import signal
from pathlib import Path

from claude_flow.testing.apps_api import new_key_pair
from claude_flow.testing.daemon_process import until
from claude_flow.testing.installation import Installation

BOT = "claude-flow-app[bot]"
GREET = "Path('greeting.txt').write_text('Hello!\\n')"
WAIT = "while not os.path.exists({flag!r}): print('.', flush=True); time.sleep(.05)\n"


def asked_for_tokens(installation: Installation) -> list[int]:
    requests = list(installation.world.server.requests)
    return [line.status for line in requests if line.path.endswith("/access_tokens")]


def test_a_label_becomes_the_apps_pull_request_over_many_tokens(
    installation: Installation, tmp_path: Path
) -> None:
    # They are replaced five minutes before their end: here every second.
    app = installation.act_as_app("acme", token_seconds=301)
    flag = tmp_path / "go"
    issue = installation.issue(
        installation.add_repository("acme/widgets"), WAIT.format(flag=str(flag)) + GREET
    )
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    until(lambda: len(asked_for_tokens(installation)) > 2, daemon.last_words)
    github = installation.world.github
    assert github.revoke_app_tokens(app)
    flag.touch()
    run = installation.ended(daemon, issue)

    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    (pull,) = github.pull_requests(issue.repository)
    (comment,) = github.comments(issue)
    assert (pull.author, comment.author) == (BOT, BOT)
    assert github.files(issue.repository, pull.head)["greeting.txt"] == "Hello!\n"
    assert github.labels(issue) == {"claude-flow:done"}
    assert set(asked_for_tokens(installation)) == {201}
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.log


def test_an_installation_that_is_suspended_for_a_while(
    installation: Installation, tmp_path: Path
) -> None:
    app = installation.act_as_app("acme")
    flag = tmp_path / "go"
    issue = installation.issue(
        installation.add_repository("acme/widgets"), WAIT.format(flag=str(flag)) + GREET
    )
    daemon = installation.start()
    until(installation.agents, daemon.last_words)
    github = installation.world.github
    app.is_suspended = True
    github.revoke_app_tokens(app)
    flag.touch()
    until(lambda: daemon.ask("/health/ready").status == 503, daemon.last_words)
    until(lambda: [run["phase"] for run in daemon.runs(issue)] == ["publishing"], daemon.last_words)
    until(lambda: asked_for_tokens(installation).count(403) > 2, daemon.last_words)

    app.is_suspended = False
    run = installation.ended(daemon, issue)
    assert (run["reason"], run["attempt"]) == ("pull_request_opened", 1)
    until(lambda: daemon.ask("/health/ready").status == 200, daemon.last_words)
    assert daemon.log.count("is the installation suspended?") == 1
    assert daemon.stop() == 0


def test_a_wrong_key_is_told_and_a_reload_brings_the_right_one(installation: Installation) -> None:
    app = installation.act_as_app("acme")
    installation.app_key_file.write_text(new_key_pair()[0], encoding="ascii")
    issue = installation.issue(installation.add_repository("acme/widgets"), GREET)
    daemon = installation.start()
    until(lambda: "private_key_file a key of the App" in daemon.log, daemon.last_words)
    assert daemon.ask("/health/ready").status == 503

    installation.app_key_file.write_text(app.private_key, encoding="ascii")
    daemon.signal(signal.SIGHUP)
    assert installation.ended(daemon, issue)["reason"] == "pull_request_opened"
    assert "github.app.private_key_file" in daemon.log
    assert daemon.stop() == 0
