"""The role's Python, loaded from where Ansible looks for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "claude_flow"
# As Ansible does where the role is used.
ansible.module_utils.__path__.append(str(ROLE / "module_utils"))


def load(name: str) -> ModuleType:
    """A module by its path within the role."""
    spec = importlib.util.spec_from_file_location(f"role_{Path(name).stem}", ROLE / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
