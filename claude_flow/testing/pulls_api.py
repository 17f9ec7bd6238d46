"""What the stand-in GitHub answers about pull requests."""

from __future__ import annotations

from claude_flow.testing.exchange import Answer, ApiError, Call, invalid
from claude_flow.testing.git_side import Changes
from claude_flow.testing.github_api import MAX_BODY_CHARACTERS, Api
from claude_flow.testing.github_json import Json
from claude_flow.testing.pull_json import pull_request, with_counts
from claude_flow.testing.records import IssueRecord, PullRecord, RepositoryRecord

MAX_TITLE_CHARACTERS = 256


class PullsApi(Api):
    """Pull requests within one repository; the git server knows the branches."""

    def list_pulls(self, call: Call) -> Answer:
        """``GET …/pulls``, newest first unless told."""
        call.refuse_unserved("state", "head", "base", "direction", "per_page", "page")
        record = self.repository(call)
        state = call.query.get("state", "open")
        if state not in {"open", "closed", "all"}:
            raise invalid("PullRequest", "state", "invalid")
        owner, _, branch = call.query.get("head", "").rpartition(":")
        found = [
            issue
            for issue in record.issues.values()
            if (pull := issue.pull) is not None
            and (state == "all" or (state == "open") == issue.is_open)
            # As on GitHub, a head without "owner:" filters nothing.
            and (not owner or (owner.lower(), branch) == (record.owner.lower(), pull.head))
            and call.query.get("base", pull.base) == pull.base
        ]
        rising = call.query.get("direction", "desc") == "asc"
        found.sort(key=lambda issue: issue.number, reverse=not rising)
        answer = self.page(call, found)
        commits = self.state.git.branches(record.full_name)
        return Answer(
            [self._simple(record, issue, commits) for issue in answer.value],
            headers=answer.headers,
        )

    def get_pull(self, call: Call) -> Answer:
        """``GET …/pulls/{pull_number}``."""
        record = self.repository(call)
        return Answer(self._whole(record, self._pull(call, record)))

    def create_pull(self, call: Call) -> Answer:
        """``POST …/pulls``; 422 for an unknown branch, a twin, or nothing to merge."""
        call.refuse_unserved("title", "head", "base", "body", "draft")
        record = self.writable(call, "write")
        data = call.data()
        title, base = data.get("title"), data.get("base", "")
        if not title:
            raise invalid("PullRequest", "title", "missing_field")
        _check_length("title", title, MAX_TITLE_CHARACTERS)
        head = self._check_branches(record, data.get("head", ""), base)
        _check_length("body", data.get("body"), MAX_BODY_CHARACTERS)
        pull = PullRecord(head, base, bool(data.get("draft", False)))
        issue = self.state.new_pull(record, title, data.get("body"), call.login, pull)
        answer = self._whole(record, issue)
        return Answer(answer, 201, {"Location": answer["url"]})

    def update_pull(self, call: Call) -> Answer:
        """``PATCH …/pulls/{pull_number}``: title, body, state and base."""
        call.refuse_unserved("title", "body", "state", "base")
        record = self.writable(call, "write")
        issue = self._pull(call, record)
        data = call.data()
        _check_length("body", data.get("body"), MAX_BODY_CHARACTERS)
        self.state.change_text(
            issue, title=data.get("title"), body=data.get("body"), editor=call.login
        )
        if "state" in data:
            self.state.set_open(issue, is_open=data["state"] == "open", actor=call.login)
        if "base" in data and issue.pull is not None:
            issue.pull.base = data["base"]
        return Answer(self._whole(record, issue))

    def _check_branches(self, record: RepositoryRecord, named: str, base: str) -> str:
        owner, _, head = named.rpartition(":")
        branches = self.state.git.branches(record.full_name)
        if head not in branches or (owner and owner.lower() != record.owner.lower()):
            raise invalid("PullRequest", "head", "invalid")
        if base not in branches:
            raise invalid("PullRequest", "base", "invalid")
        for issue in record.issues.values():
            if issue.is_open and issue.pull is not None and issue.pull.head == head:
                whose = f"{record.owner}:{head}"
                text = f"A pull request already exists for {whose}."
                raise _refused(text)
        if self.state.git.ahead(record.full_name, base, head) == 0:
            raise _refused(f"No commits between {base} and {head}")
        return head

    def _pull(self, call: Call, record: RepositoryRecord) -> IssueRecord:
        issue = self.issue(call, record, "pull_number")
        if issue.pull is None:
            raise ApiError(404, "Not Found")
        return issue

    def _simple(
        self, record: RepositoryRecord, issue: IssueRecord, commits: dict[str, str]
    ) -> Json:
        return pull_request(self.render, record, issue, self.state.users, commits)

    def _whole(self, record: RepositoryRecord, issue: IssueRecord) -> Json:
        git, name = self.state.git, record.full_name
        commits = git.branches(name)
        simple = self._simple(record, issue, commits)
        changes, ahead = Changes(0, 0, 0), 0
        pull = issue.pull
        # A branch may be gone by now.
        if pull is not None and pull.head in commits and pull.base in commits:
            changes = git.changes(name, pull.base, pull.head)
            ahead = git.ahead(name, pull.base, pull.head)
        return with_counts(simple, changes, comments=len(issue.comments), commits=ahead)


def _refused(text: str) -> ApiError:
    fault = {"resource": "PullRequest", "code": "custom", "message": text}
    return ApiError(422, "Validation Failed", [fault])


def _check_length(name: str, text: str | None, most: int) -> None:
    if text is not None and len(text) > most:
        words = f"{name} is too long (maximum is {most} characters)"
        raise invalid("PullRequest", name, "custom", words)
