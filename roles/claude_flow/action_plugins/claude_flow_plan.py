"""Judges what the role was given, on the controller, before anything changes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from ansible.plugins.action import ActionBase

# Resolved: a collection reaches this file by a link.
_ROLE = Path(__file__).resolve().parents[1]
_CHECKOUT = _ROLE.parents[1]
_PREFIX = "claude_flow_"
_OF_OTHERS = ("claude_flow_config", "claude_flow_credentials", "claude_flow_database_url")


def _judgement(name: str) -> ModuleType:
    # By path: Ansible has no other way that works for a role as well as for a collection.
    path = _ROLE / "judgement" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"claude_flow_role_{name}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


configuration = _judgement("configuration")
fleet = _judgement("fleet")
release = _judgement("release")
variables = _judgement("variables")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types
    """``claude_flow_plan``: what the tasks go by, or all that is wrong with what was given.

    Arguments: ``schema``, ``config``, ``credentials`` (names), ``database_url``, ``proxy``,
    ``no_proxy``; with ``judge`` false, faults are no hindrance. Nothing secret is in its answer,
    and no host is asked.
    """

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        """What Ansible calls."""
        super().run(tmp, task_vars)
        given = self._task.args
        schema = given["schema"]
        try:
            faults = self._faults(given, schema, task_vars) if given["judge"] else []
        except ModuleNotFoundError as error:
            return _failed(
                f"the controller's Python lacks {error.name}: run ansible-playbook from the "
                "project's virtual environment (tools/setup.sh dev), or install it beside Ansible"
            )
        if faults:
            return _failed("claude_flow_config is invalid; nothing was changed:", *faults)
        settings = configuration.deployed(given["config"])
        effective = configuration.effective(settings, schema)
        return {
            "changed": False,
            "settings": settings,
            "effective": effective,
            "restart_values": configuration.restart_values(settings, schema),
            "checkout_version": release.version(_CHECKOUT),
            "requirements": release.requirements(_CHECKOUT),
            "wheel": release.wheel(_CHECKOUT),
            "agents": {
                "claude-flow": effective["claude_flow"]["version"],
                "claude-code": release.claude_code_version(_CHECKOUT),
            },
            "endpoints": fleet.endpoints(
                effective, given["database_url"], given["proxy"], given["no_proxy"]
            ),
        }

    def _faults(
        self, given: Mapping[str, Any], schema: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> list[str]:
        credentials = set(given["credentials"])
        found: list[str] = configuration.faults(given["config"], schema, credentials)
        known = configuration.credential_names(schema)
        if unknown := sorted(credentials - set(known)):
            found.append(
                "claude_flow_credentials has names the service does not know: "
                f"{', '.join(unknown)}; it knows {', '.join(known)}"
            )
        names = {name for name in task_vars if name.startswith(_PREFIX)} - set(internals())
        found += variables.faults(names, options(), schema)
        if not found:
            found = self._shared_work(given, schema, task_vars)
        return found

    def _shared_work(
        self, given: Mapping[str, Any], schema: Mapping[str, Any], task_vars: Mapping[str, Any]
    ) -> list[str]:
        me = task_vars["inventory_hostname"]
        watched = {me: _watched(given["config"], schema)}
        databases = {me: given["database_url"]}
        for host in task_vars.get("ansible_play_hosts_all", []):
            theirs = self._variables_of(host, task_vars)
            if host != me and "claude_flow_config" in theirs:
                watched[host] = _watched(theirs["claude_flow_config"], schema)
                named = theirs.get("claude_flow_credentials") or {}
                databases[host] = (
                    theirs.get("claude_flow_database_url") or named.get("database-url") or ""
                )
        found: list[str] = fleet.shared_work(me, watched, databases)
        return found

    def _variables_of(self, host: str, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        # Not simply hostvars[host]: that has no hostvars for its own templates, and the address of
        # a database is often made of them.
        hostvars = task_vars["hostvars"]
        raw = {**hostvars.raw_get(host), "hostvars": hostvars}
        templar = self._templar.copy_with_new_env(available_variables=raw)
        return {name: templar.template(raw[name]) for name in _OF_OTHERS if name in raw}


def options() -> list[str]:
    """The variables that an operator sets."""
    text = (_ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text)["argument_specs"]["main"]["options"])


def internals() -> list[str]:
    """The variables that the role makes for itself."""
    return list(yaml.safe_load((_ROLE / "vars" / "main.yml").read_text(encoding="utf-8")))


def _watched(config: Any, schema: Mapping[str, Any]) -> list[str]:
    github = configuration.effective(config, schema)["github"]
    if not isinstance(github, Mapping) or not isinstance(github.get("repositories"), list):
        return []  # that host says so itself
    return [f"{github['api_url'].rstrip('/')}/repos/{name}" for name in github["repositories"]]


def _failed(*lines: str) -> dict[str, Any]:
    return {"failed": True, "changed": False, "msg": list(lines)}
