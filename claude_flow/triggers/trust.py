"""Who may have an agent work: the permission of whoever asked and of whoever wrote since."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from claude_flow.model.issue import Issue, IssueRef, Repository
from claude_flow.model.run import Reason, Trigger, TriggerKind
from claude_flow.ports import Comment, GitHub, Refusal, TextEdit

# GitHub's repository roles, weakest first.
_ROLES = ("none", "read", "triage", "write", "maintain", "admin")
_MAY_EDIT_COMMENTS = "write"
_OWN_MARKER = "<!-- claude-flow:"
_MOST_COMMENTS = 20


def suffices(permission: str, minimum: str) -> bool:
    """Whether one repository role is at least another; unknown roles are worth nothing."""
    return permission in _ROLES and _ROLES.index(permission) >= _ROLES.index(minimum)


def editors_since(edits: Iterable[TextEdit], moment: datetime) -> set[str | None]:
    """Who changed a text at or after the moment.

    GitHub counts in whole seconds, so an edit in the moment's own second counts as later.
    """
    return {edit.actor for edit in edits if edit.at >= moment.replace(microsecond=0)}


class TrustGate:
    """Admits an issue's text if everybody who had a say has the permission.

    Whoever put the trigger there vouches for the text as it was then; whoever changed it
    afterwards must have the same permission (else a stranger swaps the text of an issue that a
    maintainer approved).
    """

    def __init__(self, github: GitHub, *, minimum_permission: Callable[[], str]) -> None:
        self._github = github
        self._minimum = minimum_permission

    def admit(self, ref: IssueRef, trigger: Trigger) -> Issue | Refusal:
        """The issue with the text that was judged, or why it is refused."""
        issue = self._github.issue(ref)  # before its edits: a later edit is seen, never missed
        if issue.is_pull_request:
            return Refusal(Reason.UNTRUSTED, f"{ref} is a pull request, not an issue.")
        if not issue.is_open:
            return Refusal(Reason.ISSUE_CLOSED, "The issue is closed.")
        if trigger.kind is TriggerKind.CLI:
            return issue  # an operator of this host, who answers for the text as it is now
        distrusted = self._distrusted(ref, trigger)
        return issue if distrusted is None else self._refusal(distrusted)

    def trusted_comments(self, ref: IssueRef) -> list[Comment]:
        """The latest comments by people with the permission, without the service's own.

        GitHub does not say who changed a comment, but it lets only its author and those who may
        write to the repository. Where writing is not enough, a changed one is left out.
        """
        may_be_edited = suffices(_MAY_EDIT_COMMENTS, self._minimum())
        found = [
            comment
            for comment in self._github.comments(ref)
            if _OWN_MARKER not in comment.body and (may_be_edited or not comment.is_edited)
        ]
        authors = {comment.author for comment in found}
        trusted = {login for login in authors if self._is_trusted(ref.repository, login)}
        return [comment for comment in found if comment.author in trusted][-_MOST_COMMENTS:]

    def _distrusted(self, ref: IssueRef, trigger: Trigger) -> str | None:
        if not self._is_trusted(ref.repository, trigger.actor):
            return f"{_name(trigger.actor)} asked for this run"
        if trigger.at is None:
            return "GitHub does not tell when this run was asked for"
        for editor in editors_since(self._github.last_edits(ref), trigger.at):
            if not self._is_trusted(ref.repository, editor):
                return f"{_name(editor)} changed the issue after it was approved"
        return None

    def _is_trusted(self, repository: Repository, login: str | None) -> bool:
        if login is None:
            return False
        return suffices(self._github.permission(repository, login), self._minimum())

    def _refusal(self, what: str) -> Refusal:
        return Refusal(
            Reason.UNTRUSTED,
            f"{what}, which takes the permission `{self._minimum()}` on this repository. "
            "Somebody who has it can read the issue and put the label back.",
        )


def _name(login: str | None) -> str:
    return "A deleted account" if login is None else f"`{login}`"
