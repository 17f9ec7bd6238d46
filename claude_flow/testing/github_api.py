"""What the stand-in GitHub answers: one function per operation, on the state alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from claude_flow.testing.exchange import Answer, ApiError, Call, invalid
from claude_flow.testing.github_json import Json, Renderer, time_text
from claude_flow.testing.github_memory import GitHubMemory
from claude_flow.testing.records import IssueRecord, RepositoryRecord, UserRecord, role_at_least

Operation = Callable[[Call], Answer]

EDITS_QUERY = (
    "query($owner:String!,$name:String!,$number:Int!)"
    "{repository(owner:$owner,name:$name)"
    "{issue(number:$number){userContentEdits(first:100){nodes{editedAt editor{login}}}}}}"
)
"""The one GraphQL query the product sends. REST does not tell who edited a text."""

MAX_BODY_CHARACTERS = 65536
_MAX_PAGE = 100


class Api:
    """Shared ground of the operations: finding, permission, pages."""

    def __init__(self, state: GitHubMemory, renderer: Renderer) -> None:
        self.state = state
        self.render = renderer

    def repository(self, call: Call) -> RepositoryRecord:
        """The repository a call names; 404, or 301/307 to its present name."""
        named = f"{call.params['owner']}/{call.params['repo']}"
        record, former = self.state.find_repository(named)
        if record is None or record.role_of(call.login) == "none":
            raise ApiError(404, "Not Found")
        if former:
            rest = call.path.split("/", 4)[4:]
            query = f"?{urlencode(call.query)}" if call.query else ""
            where = "/".join([f"{self.render.api}/repositories/{record.id}", *rest]) + query
            is_read = call.method == "GET"
            status, text = (301, "Moved Permanently") if is_read else (307, "Temporary Redirect")
            error = ApiError(status, text, headers={"Location": where})
            error.answer.value["url"] = where
            raise error
        return record

    def writable(self, call: Call, minimum: str) -> RepositoryRecord:
        """The repository, if the caller has the role and it is not archived; else 403."""
        record = self.repository(call)
        if record.is_archived:
            raise ApiError(403, "Repository was archived so is read-only.")
        if not role_at_least(record.role_of(call.login), minimum):
            raise ApiError(403, "Resource not accessible by personal access token")
        return record

    @staticmethod
    def issue(call: Call, record: RepositoryRecord, key: str = "issue_number") -> IssueRecord:
        """The issue a call names; 404."""
        number = call.params[key]
        issue = record.issues.get(int(number)) if number.isdecimal() else None
        if issue is None:
            raise ApiError(404, "Not Found")
        return issue

    def person(self, login: str | None) -> UserRecord | None:
        """The account; None if it is deleted."""
        return self.state.users.get((login or "").lower())

    def page(self, call: Call, items: Sequence[Any]) -> Answer:
        """One page of ``items``, with the ``Link`` header."""
        size = min(max(_number(call, "per_page", 30), 1), _MAX_PAGE)
        number = max(_number(call, "page", 1), 1)
        last = max((len(items) + size - 1) // size, 1)
        places: dict[str, int] = {}
        if number > 1:
            places |= {"prev": number - 1, "first": 1}
        if number < last:
            places |= {"next": number + 1, "last": last}
        links = [
            f"<{self.render.api}{call.path}?"
            f'{urlencode(dict(call.query) | {"page": page})}>; rel="{name}"'
            for name, page in places.items()
        ]
        return Answer(
            items[(number - 1) * size : number * size],
            headers={"Link": ", ".join(links)} if links else {},
        )


class IssuesApi(Api):
    """Accounts, repositories, issues, labels, events and comments."""

    def user(self, call: Call) -> Answer:
        """``GET /user``: no App's business."""
        if call.login in {app.login for app in self.state.apps.values()}:
            raise ApiError(403, "Resource not accessible by integration")
        user = self.state.add_user(call.login)
        return Answer(self.render.own_account(user, self.state.now()))

    def get_repository(self, call: Call) -> Answer:
        """``GET /repos/{owner}/{repo}``."""
        record = self.repository(call)
        owner = self.state.add_user(record.owner)
        return Answer(self.render.repository(record, owner, record.role_of(call.login)))

    def permission(self, call: Call) -> Answer:
        """``GET …/collaborators/{username}/permission``."""
        record = self.repository(call)
        if not role_at_least(record.role_of(call.login), "write"):
            raise ApiError(403, "Must have push access to view collaborator permission.")
        user = self.person(call.params["username"])
        if user is None:
            raise ApiError(404, f"{call.params['username']} is not a user")
        return Answer(self.render.collaborator(user, record.role_of(user.login)))

    def list_issues(self, call: Call) -> Answer:
        """``GET …/issues``: pull requests too, as on GitHub."""
        record = self.repository(call)
        call.refuse_unserved("labels", "state", "sort", "direction", "since", "per_page", "page")
        found = [issue for issue in record.issues.values() if _wanted(call, issue)]
        sort = call.query.get("sort", "created")
        by: dict[str, Callable[[IssueRecord], Any]] = {
            "created": lambda issue: (issue.created_at, issue.number),
            "updated": lambda issue: (issue.updated_at, issue.number),
            "comments": lambda issue: (len(issue.comments), issue.number),
        }
        if sort not in by:
            raise invalid("Issue", "sort", "invalid")
        found.sort(key=by[sort], reverse=call.query.get("direction", "desc") == "desc")
        answer = self.page(call, found)
        shown = [self.issue_json(record, issue) for issue in answer.value]
        return Answer(shown, headers=answer.headers)

    def issue_json(self, record: RepositoryRecord, issue: IssueRecord) -> Json:
        """An issue in JSON."""
        return self.render.issue(record, issue, self.person(issue.author))

    def get_issue(self, call: Call) -> Answer:
        """``GET …/issues/{issue_number}``."""
        record = self.repository(call)
        return Answer(self.issue_json(record, self.issue(call, record)))

    def update_issue(self, call: Call) -> Answer:
        """``PATCH …/issues/{issue_number}``: title, body and state."""
        call.refuse_unserved("title", "body", "state")
        record = self.writable(call, "triage")
        issue = self.issue(call, record)
        data = call.data()
        self.state.change_text(
            issue, title=data.get("title"), body=data.get("body"), editor=call.login
        )
        if "state" in data:
            self.state.set_open(issue, is_open=data["state"] == "open", actor=call.login)
        return Answer(self.issue_json(record, issue))

    def list_repository_labels(self, call: Call) -> Answer:
        """``GET …/labels``."""
        record = self.repository(call)
        return self.page(
            call, [self.render.label(record, label) for label in record.labels.values()]
        )

    def get_label(self, call: Call) -> Answer:
        """``GET …/labels/{name}``."""
        record = self.repository(call)
        label = record.labels.get(call.params["name"].lower())
        if label is None:
            raise ApiError(404, "Not Found")
        return Answer(self.render.label(record, label))

    def create_label(self, call: Call) -> Answer:
        """``POST …/labels``."""
        record = self.writable(call, "write")
        data = call.data()
        name = data.get("name", "")
        if not name:
            raise invalid("Label", "name", "missing_field")
        if name.lower() in record.labels:
            raise invalid("Label", "name", "already_exists")
        label = self.state.repository_label(record, name, data.get("color", "ededed"))
        label.description = data.get("description")
        return Answer(self.render.label(record, label), 201)

    def list_labels(self, call: Call) -> Answer:
        """``GET …/issues/{issue_number}/labels``."""
        record = self.repository(call)
        return self.page(call, self.render.labels(record, self.issue(call, record)))

    def add_labels(self, call: Call) -> Answer:
        """``POST …/issues/{issue_number}/labels``."""
        record = self.writable(call, "triage")
        issue = self.issue(call, record)
        names = call.data().get("labels", [])
        if not names:
            raise invalid("Issue", "labels", "missing_field")
        for name in names:
            self.state.put_label(record, issue, name, call.login)
        return Answer(self.render.labels(record, issue))

    def remove_label(self, call: Call) -> Answer:
        """``DELETE …/issues/{issue_number}/labels/{name}``."""
        record = self.writable(call, "triage")
        issue = self.issue(call, record)
        if not self.state.take_label(issue, call.params["name"], call.login):
            raise ApiError(404, "Label does not exist")
        return Answer(self.render.labels(record, issue))

    def list_events(self, call: Call) -> Answer:
        """``GET …/issues/{issue_number}/events``, oldest first."""
        record = self.repository(call)
        return self.page(call, self._events(record, self.issue(call, record)))

    def list_repository_events(self, call: Call) -> Answer:
        """``GET …/issues/events``, newest first."""
        record = self.repository(call)
        found = [
            event | {"issue": self.issue_json(record, issue)}
            for issue in record.issues.values()
            for event in self._events(record, issue)
        ]
        return self.page(call, sorted(found, key=lambda event: event["id"], reverse=True))

    def timeline(self, call: Call) -> Answer:
        """``GET …/issues/{issue_number}/timeline``: events and comments, oldest first."""
        record = self.repository(call)
        issue = self.issue(call, record)
        comments = [
            self._comment(record, issue, comment.id)
            | {"event": "commented", "actor": self.render.user(self.person(comment.author))}
            for comment in issue.comments
        ]
        everything = [*self._events(record, issue), *comments]
        return self.page(call, sorted(everything, key=lambda entry: entry["id"]))

    def list_comments(self, call: Call) -> Answer:
        """``GET …/issues/{issue_number}/comments``, oldest first."""
        call.refuse_unserved("since", "per_page", "page")
        record = self.repository(call)
        issue = self.issue(call, record)
        since = _since(call)
        found = [
            self._comment(record, issue, comment.id)
            for comment in issue.comments
            if since is None or comment.updated_at >= since
        ]
        return self.page(call, found)

    def create_comment(self, call: Call) -> Answer:
        """``POST …/issues/{issue_number}/comments``."""
        record = self.repository(call)
        if record.is_archived:
            raise ApiError(403, "Repository was archived so is read-only.")
        issue = self.issue(call, record)
        comment = self.state.add_comment(issue, _comment_text(call), call.login)
        answer = self._comment(record, issue, comment.id)
        return Answer(answer, 201, {"Location": answer["url"]})

    def get_comment(self, call: Call) -> Answer:
        """``GET …/issues/comments/{comment_id}``."""
        record = self.repository(call)
        return Answer(self._comment(record, *self._find_comment(call, record)))

    def update_comment(self, call: Call) -> Answer:
        """``PATCH …/issues/comments/{comment_id}``."""
        record = self.repository(call)
        issue, comment_id = self._find_comment(call, record)
        comment = next(one for one in issue.comments if one.id == comment_id)
        is_own = comment.author is not None and comment.author.lower() == call.login.lower()
        if not is_own and not role_at_least(record.role_of(call.login), "write"):
            raise ApiError(403, "Resource not accessible by personal access token")
        comment.body = _comment_text(call)
        comment.updated_at = issue.updated_at = self.state.now()
        return Answer(self._comment(record, issue, comment_id))

    def edits(self, call: Call) -> Answer:
        """``POST /graphql``: the edits of an issue's text, newest first."""
        data = call.data()
        if data.get("query") != EDITS_QUERY:
            fault = {"message": "the stand-in knows one query only: an issue's edits"}
            return Answer({"errors": [fault]})
        variables = data.get("variables", {})
        named = f"{variables.get('owner')}/{variables.get('name')}"
        record, _ = self.state.find_repository(named)
        issue = record.issues.get(variables.get("number", 0)) if record is not None else None
        if record is None or issue is None or record.role_of(call.login) == "none":
            what = "a Repository" if record is None else "an Issue"
            fault = {"type": "NOT_FOUND", "message": f"Could not resolve to {what}: {named}"}
            repository = None if record is None else {"issue": None}
            return Answer({"data": {"repository": repository}, "errors": [fault]})
        nodes = [
            {
                "editedAt": time_text(edit.edited_at),
                "editor": None if edit.editor is None else {"login": edit.editor},
            }
            for edit in reversed(issue.edits)
        ]
        if nodes:
            # Once a text was changed, GitHub lists its first version as an edit too.
            author = None if issue.author is None else {"login": issue.author}
            nodes.append({"editedAt": time_text(issue.created_at), "editor": author})
        edits = {"userContentEdits": {"nodes": nodes[:100]}}
        return Answer({"data": {"repository": {"issue": edits}}})

    def _events(self, record: RepositoryRecord, issue: IssueRecord) -> list[Json]:
        return [
            self.render.event(record, event, self.person(event.actor)) for event in issue.events
        ]

    def _comment(self, record: RepositoryRecord, issue: IssueRecord, comment_id: int) -> Json:
        comment = next(one for one in issue.comments if one.id == comment_id)
        return self.render.comment(record, issue, comment, self.person(comment.author))

    @staticmethod
    def _find_comment(call: Call, record: RepositoryRecord) -> tuple[IssueRecord, int]:
        for issue in record.issues.values():
            for comment in issue.comments:
                if str(comment.id) == call.params["comment_id"]:
                    return issue, comment.id
        raise ApiError(404, "Not Found")


def _number(call: Call, key: str, default: int) -> int:
    text = call.query.get(key, "")
    return int(text) if text.isdecimal() else default


def _since(call: Call) -> datetime | None:
    text = call.query.get("since")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid("Issue", "since", "invalid") from error
    if moment.tzinfo is None:
        raise invalid("Issue", "since", "invalid")
    return moment


def _wanted(call: Call, issue: IssueRecord) -> bool:
    state = call.query.get("state", "open")
    if state not in {"open", "closed", "all"}:
        raise invalid("Issue", "state", "invalid")
    carried = {label.lower() for label in issue.labels}
    labels = [name for name in call.query.get("labels", "").split(",") if name]
    since = _since(call)
    return (
        (state == "all" or (state == "open") == issue.is_open)
        and all(name.lower() in carried for name in labels)
        and (since is None or issue.updated_at >= since)
    )


def _comment_text(call: Call) -> str:
    body = call.data().get("body")
    if not isinstance(body, str) or not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body) > MAX_BODY_CHARACTERS:
        text = f"body is too long (maximum is {MAX_BODY_CHARACTERS} characters)"
        raise invalid("IssueComment", "body", "custom", text)
    return body
