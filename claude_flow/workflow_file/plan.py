"""What is done in a run: the operator's settings, and what a repository may say about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from claude_flow.workflow_file.document import Document
from claude_flow.workflow_file.faults import Fault, invalid

PROMPT = "prompt"
"""The name of the template among what a file may set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Bounds of an attempt and of a run, by their names in both configurations."""

    max_turns: int
    budget_usd: float | None
    timeout_seconds: float
    stall_timeout_seconds: float
    max_attempts: int


class OnFailure(StrEnum):
    """What becomes of a change whose checks do not pass."""

    DRAFT = "draft"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """Commands that must pass before a pull request is opened.

    ``rounds`` is how often the agent gets to mend what fails; each command may take
    ``timeout_seconds``.
    """

    commands: tuple[str, ...] = ()
    rounds: int = 2
    timeout_seconds: float = 900
    on_failure: OnFailure = OnFailure.DRAFT


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Scripts around an attempt, each of which may take ``timeout_seconds``; None for none."""

    after_create: str | None = None
    before_run: str | None = None
    after_run: str | None = None
    before_remove: str | None = None
    timeout_seconds: float = 60


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator decided. ``allowed`` names what a file may set as it likes."""

    path: str
    allowed: frozenset[str]
    numbers: Numbers
    verify: Verify = Verify()
    hooks: Hooks = Hooks()
    allowed_tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt's template, and where it stands."""

    path: str
    text: str
    first_line: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for one attempt; without a ``template`` the service's own prompt is used."""

    numbers: Numbers
    template: Template | None = None
    verify: Verify = Verify()
    hooks: Hooks = Hooks()
    allowed_tools: tuple[str, ...] = ()


def make_plan(document: Document | None, operator: Operator) -> Plan:
    """The operator's settings with what the file may change. Raises WorkflowFileError.

    A number that a file may not set freely it may still lower.
    """
    if document is None:
        return Plan(
            operator.numbers,
            verify=operator.verify,
            hooks=operator.hooks,
            allowed_tools=operator.allowed_tools,
        )
    faults = [*_numbers(document, operator), *_sections(document, operator)]
    if faults:
        raise invalid(document.path, faults)
    chosen = {name: document.values[name] for name in _NUMBERS if name in document.values}
    template = None
    if document.template is not None:
        template = Template(document.path, document.template, document.template_line)
    return Plan(
        replace(operator.numbers, **chosen),
        template,
        _verify(operator.verify, document.values.get("verify", {})),
        replace(operator.hooks, **document.values.get("hooks", {})),
        tuple(document.values.get("allowed_tools", operator.allowed_tools)),
    )


_NUMBERS = tuple(Numbers.__dataclass_fields__)


def _verify(verify: Verify, values: Mapping[str, Any]) -> Verify:
    chosen = dict(values)
    if "commands" in chosen:
        chosen["commands"] = tuple(chosen["commands"])
    if "on_failure" in chosen:
        chosen["on_failure"] = OnFailure(chosen["on_failure"])
    return replace(verify, **chosen)


def _numbers(document: Document, operator: Operator) -> Iterator[Fault]:
    for name, most in asdict(operator.numbers).items():
        wanted = document.values.get(name)
        if wanted is None or most is None or wanted <= most or name in operator.allowed:
            continue
        yield Fault(
            document.front.line((name,)),
            f"{name}: {wanted} is more than the {most:g} that this service's operator allows "
            "(workflow.allowed_overrides does not name it)",
        )


def _sections(document: Document, operator: Operator) -> Iterator[Fault]:
    """What is not a number is allowed or not, as a whole."""
    if document.template is not None and PROMPT not in operator.allowed:
        yield _forbidden(PROMPT, document.template_line)
    for name in document.values:
        if name not in _NUMBERS and name not in operator.allowed:
            yield _forbidden(name, document.front.line((name,)))


def _forbidden(name: str, line: int) -> Fault:
    return Fault(
        line,
        f"this service's operator does not allow a workflow file to set {name} "
        "(workflow.allowed_overrides does not name it)",
    )
