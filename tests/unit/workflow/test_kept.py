"""What a step keeps is what the next daemon reads."""

import json
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Reason, Usage
from claude_flow.ports import Refusal, Workspace
from claude_flow.workflow import kept
from claude_flow.workflow.kept import Work
from claude_flow.workflow.publisher import Published, Target

REF = IssueRef.parse("acme/widgets#7")
MOMENT = datetime(2026, 1, 31, 12, 0, 0, 123000, tzinfo=UTC)
MAYBE_TEXT = st.none() | st.text()
REASONS = st.sampled_from(Reason)
WORKS = st.builds(
    Work,
    target=st.builds(
        Target,
        st.just(Repository("acme", "w.x_y-z")),
        st.text(),
        st.text(),
        is_update=st.booleans(),
    ),
    workspace=st.builds(Workspace, st.text(), st.just(Path("/w/ä b")), st.text(), MAYBE_TEXT),
    ended_at=st.just(MOMENT),
    exit_code=st.integers(0, 255),
    reason=st.none() | REASONS,
    usage=st.builds(
        Usage, st.none() | st.integers(0), st.none() | st.integers(0), st.none() | st.floats(0, 9)
    ),
    detail=MAYBE_TEXT,
    summary=MAYBE_TEXT,
    failure=st.none()
    | st.builds(
        ModelFailure,
        st.sampled_from(FailureKind),
        st.none() | st.integers(400, 599),
        st.none() | st.just(MOMENT),
    ),
    session_id=MAYBE_TEXT,
)
ISSUES = st.builds(
    Issue,
    ref=st.just(REF),
    title=st.text(),
    body=st.text(),
    labels=st.frozensets(st.text()),
    author=MAYBE_TEXT,
    is_open=st.just(True),  # noqa: FBT003 - a strategy
    is_pull_request=st.just(False),  # noqa: FBT003 - likewise
    created_at=st.just(MOMENT),
    updated_at=st.just(MOMENT),
    url=st.text(),
)


@given(WORKS)
def test_work(work: Work) -> None:
    assert kept.work_from_json(json.loads(json.dumps(kept.work_to_json(work)))) == work


@given(ISSUES | st.builds(Refusal, REASONS, st.text()))
def test_admission(found: Issue | Refusal) -> None:
    data = json.loads(json.dumps(kept.admission_to_json(found)))
    assert kept.admission(REF, data) == found


@given(st.builds(Published, REASONS, MAYBE_TEXT, MAYBE_TEXT))
def test_published(published: Published) -> None:
    data = json.loads(json.dumps(kept.published_to_json(published)))
    assert kept.published_from_json(data) == published
