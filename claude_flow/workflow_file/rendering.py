"""A repository's template and an issue's words make a prompt.

Whoever may push to the default branch wrote the template, but a mistake in it must not harm the
service: it is rendered by a process of its own (``claude_flow.workflow_file.render_process``),
with a limit on time, memory and what it may write.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from claude_flow.config.nearest import slip_of

MAX_CHARACTERS = 400_000
"""Of a rendered prompt; more than that no agent reads."""

_NAME = "workflow file"
_FROM_ELSEWHERE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class Mistake(Exception):  # noqa: N818 - the template's author made it
    """What is wrong with a template; ``line`` counts from 1 in it."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


def render(text: str, variables: Mapping[str, Any]) -> str:
    """Fill a template in. Raises Mistake."""
    # Constants are not folded: that would compute at compile time, out of any bound.
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
        optimized=False,
    )
    try:
        tree = environment.parse(text, name=_NAME, filename=_NAME)
        _check_names(tree, list(variables))
        template = environment.from_string(text)
        return _bounded(template.generate(dict(variables)))
    except TemplateSyntaxError as error:
        raise Mistake(error.lineno, error.message or "is no template") from error
    except UndefinedError as error:
        raise Mistake(_line_of(error), error.message or "names what is not there") from error
    except SecurityError as error:
        raise Mistake(_line_of(error), f"not allowed in a template: {error.message}") from error
    except TemplateError as error:
        raise Mistake(_line_of(error), error.message or "cannot be filled in") from error
    except RecursionError as error:
        raise Mistake(1, "is nested too deeply") from error
    except (ArithmeticError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise Mistake(_line_of(error), f"cannot be filled in: {error}") from error


def _check_names(tree: nodes.Template, known: Sequence[str]) -> None:
    for statement in tree.find_all(_FROM_ELSEWHERE):
        raise Mistake(statement.lineno, "a template may not include others")
    unknown = meta.find_undeclared_variables(tree) - set(known)
    for node in tree.find_all(nodes.Name):
        if node.name in unknown and node.ctx == "load":
            near = slip_of(node.name, known)
            meant = f"did you mean {near}?" if near else f"there are {', '.join(sorted(known))}"
            raise Mistake(node.lineno, f"there is no variable {node.name}; {meant}")


def _bounded(parts: Iterator[str]) -> str:
    written: list[str] = []
    left = MAX_CHARACTERS
    for part in parts:
        left -= len(part)
        if left < 0:
            raise Mistake(1, f"the prompt has more than {MAX_CHARACTERS} characters")
        written.append(part)
    return "".join(written)


def _line_of(error: BaseException) -> int:
    """The line of the template that raised it; Jinja writes it into the traceback."""
    trace: TracebackType | None = error.__traceback__
    lines = [
        frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == "<template>"
    ]
    return lines[-1] or 1 if lines else 1
