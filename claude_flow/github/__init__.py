"""The one door to GitHub's REST and GraphQL API."""

from claude_flow.github.client import GitHubClient
from claude_flow.github.session import ApiSession

__all__ = ["ApiSession", "GitHubClient"]
