"""The stand-in's records in GitHub's JSON."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from claude_flow.testing.records import (
    AppRecord,
    CommentRecord,
    EventRecord,
    IssueRecord,
    LabelRecord,
    RepositoryRecord,
    UserRecord,
    role_at_least,
)

Json = dict[str, Any]

_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_USER_LINKS = {
    "events_url": "/events{/privacy}",
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "organizations_url": "/orgs",
    "received_events_url": "/received_events",
    "repos_url": "/repos",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
}
_LEGACY_PERMISSION = {"maintain": "write", "triage": "read"}


def time_text(moment: datetime) -> str:
    """A moment as GitHub writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _node(kind: str, number: int) -> str:
    return base64.b64encode(f"0:{kind}{number}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders records. ``api`` and ``web`` are base addresses without a slash at the end."""

    api: str
    web: str

    def repository_url(self, repository: RepositoryRecord) -> str:
        """The repository's address in the API."""
        return f"{self.api}/repos/{repository.full_name}"

    def user(self, user: UserRecord | None) -> Json | None:
        """A ``simple-user``; None for a deleted account."""
        if user is None:
            return None
        url = f"{self.api}/users/{user.login}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": _node("User", user.id),
            "avatar_url": f"{self.web}/avatars/{user.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/{user.login}",
            "type": "Bot" if user.login.endswith("[bot]") else "User",
            "site_admin": False,
        } | {key: url + path for key, path in _USER_LINKS.items()}

    def app(self, app: AppRecord, owner: UserRecord) -> Json:
        """An ``integration``: a GitHub App as it sees itself."""
        return {
            "id": app.id,
            "slug": app.slug,
            "node_id": _node("Integration", app.id),
            "client_id": f"Iv1.{app.id:016x}",
            "owner": self.user(owner),
            "name": app.slug.replace("-", " ").title(),
            "description": None,
            "external_url": self.web,
            "html_url": f"{self.web}/apps/{app.slug}",
            "created_at": time_text(app.created_at),
            "updated_at": time_text(app.created_at),
            "permissions": dict(app.permissions),
            "events": [],
            "installations_count": int(app.is_installed),
        }

    def own_account(self, user: UserRecord, created_at: datetime) -> Json:
        """A ``public-user``: what a token without the scope ``user`` sees of its own account."""
        simple = self.user(user) or {}
        nothing = ("bio", "blog", "company", "email", "hireable", "location")
        return (
            simple
            | dict.fromkeys(nothing)
            | {
                "name": user.login,
                "followers": 0,
                "following": 0,
                "public_gists": 0,
                "public_repos": 0,
                "created_at": time_text(created_at),
                "updated_at": time_text(created_at),
            }
        )

    def collaborator(self, user: UserRecord, role: str) -> Json:
        """A ``repository-collaborator-permission``."""
        return {
            "permission": _LEGACY_PERMISSION.get(role, role),
            "role_name": role,
            "user": (self.user(user) or {})
            | {"role_name": role, "permissions": self.permissions(role)},
        }

    @staticmethod
    def permissions(role: str) -> Json:
        """The flags that GitHub derives from a role."""
        flags = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain"}
        return {flag: role_at_least(role, least) for flag, least in flags.items()} | {
            "admin": role == "admin"
        }

    def repository(self, repository: RepositoryRecord, owner: UserRecord, role: str) -> Json:
        """A ``full-repository`` as somebody with ``role`` sees it."""
        url = self.repository_url(repository)
        page = f"{self.web}/{repository.full_name}"
        host = self.web.partition("://")[2]
        open_issues = sum(issue.is_open for issue in repository.issues.values())
        created_at = time_text(repository.created_at)
        return (
            {
                "id": repository.id,
                "node_id": _node("Repository", repository.id),
                "name": repository.name,
                "full_name": repository.full_name,
                "owner": self.user(owner),
                "private": repository.is_private,
                "visibility": "private" if repository.is_private else "public",
                "html_url": page,
                "description": None,
                "fork": False,
                "url": url,
                "clone_url": f"{page}.git",
                "git_url": f"git://{host}/{repository.full_name}.git",
                "ssh_url": f"git@{host}:{repository.full_name}.git",
                "svn_url": page,
                "mirror_url": None,
                "homepage": None,
                "language": "Python",
                "license": None,
                "default_branch": repository.default_branch,
                "archived": repository.is_archived,
                "disabled": False,
                "open_issues": open_issues,
                "open_issues_count": open_issues,
                "size": 1,
                "permissions": self.permissions(role),
                "created_at": created_at,
                "updated_at": created_at,
                "pushed_at": created_at,
            }
            | dict.fromkeys(
                (
                    "forks",
                    "forks_count",
                    "stargazers_count",
                    "watchers",
                    "watchers_count",
                    "network_count",
                    "subscribers_count",
                ),
                0,
            )
            | {
                f"has_{feature}": feature in {"issues", "downloads"}
                for feature in ("issues", "projects", "wiki", "pages", "discussions", "downloads")
            }
            | {key: url + path for key, path in _REPOSITORY_LINKS.items()}
        )

    def label(self, repository: RepositoryRecord, label: LabelRecord) -> Json:
        """A ``label``."""
        return {
            "id": label.id,
            "node_id": _node("Label", label.id),
            "url": f"{self.repository_url(repository)}/labels/{quote(label.name, safe='')}",
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "default": False,
        }

    def labels(self, repository: RepositoryRecord, issue: IssueRecord) -> list[Json]:
        """The labels of an issue."""
        return [self.label(repository, repository.labels[name.lower()]) for name in issue.labels]

    def issue(
        self, repository: RepositoryRecord, issue: IssueRecord, author: UserRecord | None
    ) -> Json:
        """An ``issue``; a pull request too is one, marked by ``pull_request``."""
        url = f"{self.repository_url(repository)}/issues/{issue.number}"
        kind = "issues" if issue.pull is None else "pull"
        page = f"{self.web}/{repository.full_name}/{kind}/{issue.number}"
        answer: Json = {
            "id": issue.id,
            "node_id": _node("Issue", issue.id),
            "number": issue.number,
            "title": issue.title,
            "body": issue.body,
            "user": self.user(author),
            "author_association": self._association(repository, issue.author),
            "state": "open" if issue.is_open else "closed",
            "state_reason": None if issue.is_open else "completed",
            "locked": False,
            "active_lock_reason": None,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "labels": self.labels(repository, issue),
            "comments": len(issue.comments),
            "created_at": time_text(issue.created_at),
            "updated_at": time_text(issue.updated_at),
            "closed_at": None if issue.closed_at is None else time_text(issue.closed_at),
            "url": url,
            "html_url": page,
            "repository_url": self.repository_url(repository),
            "labels_url": f"{url}/labels{{/name}}",
            "comments_url": f"{url}/comments",
            "events_url": f"{url}/events",
            "timeline_url": f"{url}/timeline",
            "performed_via_github_app": None,
        }
        if issue.pull is not None:
            pull_url = f"{self.repository_url(repository)}/pulls/{issue.number}"
            answer["draft"] = issue.pull.is_draft
            answer["pull_request"] = {
                "url": pull_url,
                "html_url": page,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": None,
            }
        return answer

    def comment(
        self,
        repository: RepositoryRecord,
        issue: IssueRecord,
        comment: CommentRecord,
        author: UserRecord | None,
    ) -> Json:
        """An ``issue-comment``."""
        base = self.repository_url(repository)
        kind = "issues" if issue.pull is None else "pull"
        page = f"{self.web}/{repository.full_name}/{kind}/{issue.number}"
        return {
            "id": comment.id,
            "node_id": _node("IssueComment", comment.id),
            "url": f"{base}/issues/comments/{comment.id}",
            "html_url": f"{page}#issuecomment-{comment.id}",
            "issue_url": f"{base}/issues/{issue.number}",
            "user": self.user(author),
            "author_association": self._association(repository, comment.author),
            "body": comment.body,
            "created_at": time_text(comment.created_at),
            "updated_at": time_text(comment.updated_at),
            "performed_via_github_app": None,
        }

    def event(
        self, repository: RepositoryRecord, event: EventRecord, actor: UserRecord | None
    ) -> Json:
        """An event of an issue: labelled, renamed, closed and the like."""
        answer: Json = {
            "id": event.id,
            "node_id": _node("Event", event.id),
            "url": f"{self.repository_url(repository)}/issues/events/{event.id}",
            "actor": self.user(actor),
            "event": event.kind,
            "commit_id": None,
            "commit_url": None,
            "created_at": time_text(event.created_at),
            "performed_via_github_app": None,
        }
        if event.label is not None:
            label = repository.labels[event.label.lower()]
            answer["label"] = {"name": label.name, "color": label.color}
        if event.renamed is not None:
            answer["rename"] = {"from": event.renamed[0], "to": event.renamed[1]}
        return answer

    @staticmethod
    def _association(repository: RepositoryRecord, login: str | None) -> str:
        if login is not None and login.lower() == repository.owner.lower():
            return "OWNER"
        known = login is not None and login.lower() in repository.permissions
        return "COLLABORATOR" if known else "NONE"
