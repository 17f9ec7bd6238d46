"""Whether an attempt succeeded, from the agent's words and its process's end."""

from __future__ import annotations

from dataclasses import dataclass

from claude_flow.agents.settings import Redact
from claude_flow.agents.stream import StreamReader, StreamResult
from claude_flow.model.events import Happening
from claude_flow.model.failures import FailureKind, ModelFailure
from claude_flow.model.run import Reason, to_rfc3339
from claude_flow.ports import ProcessEnded, Progress, Stop, Verdict

_Failure = tuple[Reason, str]

_UNAUTHORIZED = 401

_DETAIL_CHARACTERS = 500
_REFUSED_KEY = (
    "the model's API refused the key (401); check ANTHROPIC_API_KEY in the service's environment"
)
_STOPPED = {
    Stop.TIMED_OUT: (
        Reason.TIMED_OUT,
        "the agent was stopped: it took longer than claude_flow.timeout_seconds",
    ),
    Stop.STALLED: (
        Reason.STALLED,
        "the agent was stopped: for claude_flow.stall_timeout_seconds it said and did nothing",
    ),
    Stop.OUT_OF_MEMORY: (
        Reason.AGENT_FAILED,
        (
            "the agent was killed: it and what it started needed more memory than "
            "execution.memory_max_bytes; raise it and run the playbook, or have them need less"
        ),
    ),
}
_ADVICE = {
    "error_during_execution": "it broke off in the middle; see the attempt's stdout.log",
}


@dataclass(frozen=True, slots=True)
class Rules:
    """How to read one kind of agent.

    ``name`` is for messages. ``trusts_exit_code``: its exit code tells about success.
    ``needs_result``: without a closing result in the stream there was no success.
    """

    name: str
    trusts_exit_code: bool
    needs_result: bool


class JudgedOutput:
    """Implements ``ports.AgentOutput`` over stream-json, for every kind of agent."""

    def __init__(self, rules: Rules, redact: Redact) -> None:
        self._rules = rules
        self._redact = redact
        self._stream = StreamReader()

    def feed(self, line: str) -> tuple[Happening, ...]:
        """Take the next line; what it tells."""
        return self._stream.feed(line)

    @property
    def progress(self) -> Progress:
        """As far as read."""
        return self._stream.progress

    @property
    def fatal(self) -> str | None:
        """A refused key: the CLI would only go on trying."""
        return _REFUSED_KEY if self._stream.refused_key else None

    def verdict(self, ended: ProcessEnded) -> Verdict:
        """The judgement; a stop by the runner counts before all words."""
        reason, detail = self._judge(ended)
        result = self._stream.result
        return Verdict(
            reason=reason,
            usage=self._stream.progress.usage,
            detail=self._redact(detail)[:_DETAIL_CHARACTERS] if detail else None,
            summary=self._redact(result.text) if result and result.text else None,
            failure=self._failure(ended) if reason is not None else None,
            session_id=self._stream.session_id,
        )

    def _failure(self, ended: ProcessEnded) -> ModelFailure | None:
        if ended.stopped in _STOPPED:
            return None  # the model did not end it
        if self.fatal is not None:
            return ModelFailure(FailureKind.REFUSED_KEY, _UNAUTHORIZED)
        return self._stream.result.failure if self._stream.result else None

    def _judge(self, ended: ProcessEnded) -> tuple[Reason | None, str | None]:
        result = self._stream.result
        return (
            self._judge_stop(ended)
            or (result and self._judge_result(result))
            or self._judge_end(ended)
            or (None, None)
        )

    def _judge_stop(self, ended: ProcessEnded) -> _Failure | None:
        if ended.stopped is None:
            return None
        return _STOPPED.get(ended.stopped) or (
            Reason.AGENT_FAILED,
            self.fatal or f"the agent was stopped: {ended.stopped}",
        )

    def _judge_end(self, ended: ProcessEnded) -> _Failure | None:
        if self._stream.result is None and self.fatal is not None:
            return Reason.AGENT_FAILED, self.fatal
        if self._stream.result is None and self._rules.needs_result:
            return Reason.AGENT_FAILED, self._without_words(ended, "no result")
        if self._rules.trusts_exit_code and ended.exit_code != 0:
            return Reason.AGENT_FAILED, self._without_words(ended, "an error")
        return None

    def _judge_result(self, result: StreamResult) -> _Failure | None:
        name = self._rules.name
        if result.is_error and result.failure is not None:
            return _explained(name, result.failure, result.text)
        if result.is_error:
            said = _ADVICE.get(result.subtype) or _one_line(result.text or result.subtype)
            return Reason.AGENT_FAILED, f"{name} failed: {said}"
        if result.denied_tools:
            tools = ", ".join(result.denied_tools)
            return (
                Reason.PERMISSION_DENIED,
                f"{name} was not allowed to use {tools}; the attempt's stdout.log says what for",
            )
        return None

    def _without_words(self, ended: ProcessEnded, what: str) -> str:
        complaint = _complaint(ended.stderr_tail)
        said = f": {complaint}" if complaint else "; see the attempt's stdout.log and stderr.log"
        return f"{self._rules.name} left with exit code {ended.exit_code} and {what}{said}"


def _explained(name: str, failure: ModelFailure, said: str | None) -> _Failure:
    quoted = f": {_one_line(said)}" if said else ""
    match failure.kind:
        case FailureKind.BUDGET:
            return (
                Reason.BUDGET_EXCEEDED,
                f"{name} used up claude_flow.budget_usd; raise it or make the issue smaller",
            )
        case FailureKind.TURN_LIMIT:
            what = "used up claude_flow.max_turns; raise it or make the issue smaller"
            return Reason.AGENT_FAILED, f"{name} {what}"
        case FailureKind.REFUSED_KEY:
            return Reason.AGENT_FAILED, _REFUSED_KEY
        case FailureKind.USAGE_LIMIT if failure.resets_at is not None:
            until = to_rfc3339(failure.resets_at)
            return Reason.AGENT_FAILED, f"the model's usage limit is reached until {until}{quoted}"
        case FailureKind.UNREACHABLE:
            return Reason.AGENT_FAILED, f"{name} could not reach the model's API{quoted}"
        case _:
            return (
                Reason.AGENT_FAILED,
                f"{name}: the model's API answered {failure.status}{quoted}",
            )


def _complaint(stderr: str) -> str:
    """The line that says most: the last that speaks of an error, else the last."""
    lines = [line for line in map(_one_line, stderr.splitlines()) if line]
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or [""])[-1]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
