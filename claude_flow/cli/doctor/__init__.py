"""Checks a host end to end: each file looks at one subject and judges what it saw.

Looking and judging are apart: ``judge_…`` functions are pure, so every case is a unit test.
"""

from __future__ import annotations

from claude_flow.cli.doctor.command import doctor

__all__ = ["doctor"]
