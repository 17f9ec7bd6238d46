"""A world to try the service in: GitHub, git server and model provider on loopback, and fakes."""
