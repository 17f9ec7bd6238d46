"""Turns labelled GitHub issues into reviewed pull requests."""
