"""The one door to GitHub's REST and GraphQL API."""

from claude_flow.github.app import AppIdentity, AppInstallation
from claude_flow.github.client import GitHubClient
from claude_flow.github.login import Login
from claude_flow.github.session import ApiSession

__all__ = ["ApiSession", "AppIdentity", "AppInstallation", "GitHubClient", "Login"]
