"""The release's number, known in one place."""

__version__ = "0.1.0"
