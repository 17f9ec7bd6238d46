"""Pull requests in GitHub's JSON."""

from __future__ import annotations

from typing import Any

from claude_flow.testing.git_side import Changes
from claude_flow.testing.github_json import Json, Renderer
from claude_flow.testing.records import IssueRecord, RepositoryRecord, UserRecord

_SHARED_WITH_ISSUE = (
    "title",
    "body",
    "user",
    "author_association",
    "state",
    "locked",
    "active_lock_reason",
    "assignee",
    "assignees",
    "milestone",
    "created_at",
    "updated_at",
    "closed_at",
)
_DELETED_BRANCH = "0" * 40


def pull_request(
    renderer: Renderer,
    repository: RepositoryRecord,
    issue: IssueRecord,
    people: dict[str, UserRecord],
    commits: dict[str, str],
) -> Json:
    """A ``pull-request-simple``: what lists hold. ``commits`` maps branches to commits."""
    pull = issue.pull
    if pull is None:
        raise ValueError(f"{repository.full_name}#{issue.number} is no pull request")
    as_issue = renderer.issue(repository, issue, people.get((issue.author or "").lower()))
    base_url = renderer.repository_url(repository)
    url = f"{base_url}/pulls/{issue.number}"
    page = as_issue["html_url"]
    head_commit = commits.get(pull.head, _DELETED_BRANCH)
    links = {
        "html": page,
        "issue": as_issue["url"],
        "comments": as_issue["comments_url"],
        "review_comments": f"{url}/comments",
        "review_comment": f"{base_url}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{base_url}/statuses/{head_commit}",
    }
    answer: dict[str, Any] = {key: as_issue[key] for key in _SHARED_WITH_ISSUE}
    return answer | {
        "id": issue.id,
        "node_id": as_issue["node_id"],
        "number": issue.number,
        "draft": pull.is_draft,
        "labels": as_issue["labels"],
        "auto_merge": None,
        "merge_commit_sha": None,
        "merged_at": None,
        "requested_reviewers": [],
        "requested_teams": [],
        "url": url,
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        **{f"{key}_url": link for key, link in links.items() if key != "html"},
        "head": _side(renderer, repository, people, pull.head, head_commit),
        "base": _side(
            renderer, repository, people, pull.base, commits.get(pull.base, _DELETED_BRANCH)
        ),
        "_links": {key: {"href": link} for key, link in ({"self": url} | links).items()},
    }


def with_counts(simple: Json, changes: Changes, *, comments: int, commits: int) -> Json:
    """A ``pull-request`` from its simple form: what single answers hold."""
    return simple | {
        "additions": changes.additions,
        "deletions": changes.deletions,
        "changed_files": changes.files,
        "comments": comments,
        "commits": commits,
        "review_comments": 0,
        "maintainer_can_modify": False,
        "mergeable": None,
        "mergeable_state": "unknown",
        "rebaseable": None,
        "merged": False,
        "merged_by": None,
    }


def _side(
    renderer: Renderer,
    repository: RepositoryRecord,
    people: dict[str, UserRecord],
    branch: str,
    commit: str,
) -> Json:
    owner = people[repository.owner.lower()]
    repo = renderer.repository(repository, owner, "read")
    for only_alone in ("network_count", "subscribers_count"):
        del repo[only_alone]
    return {
        "label": f"{repository.owner}:{branch}",
        "ref": branch,
        "sha": commit,
        "user": renderer.user(owner),
        "repo": repo,
    }
