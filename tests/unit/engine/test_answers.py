from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_flow import errors
from claude_flow.engine.answers import keep_answer, keep_error, recall
from claude_flow.errors import ClaudeFlowError, ForbiddenError, RateLimitedError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ClaudeFlowError) and kind is not RateLimitedError
]


@settings(max_examples=50)
@given(JSON)
def test_an_answer_is_the_same_after_a_resume(answer: Any) -> None:
    kept = keep_answer("step", answer)
    assert recall(kept) == recall(json.loads(json.dumps(kept))) == answer


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_the_same_after_a_resume(kind: type[ClaudeFlowError]) -> None:
    kept = json.loads(json.dumps(keep_error(kind("what happened", hint="what to do"))))
    with pytest.raises(kind) as caught:
        recall(kept)
    assert type(caught.value) is kind
    assert (caught.value.message, caught.value.hint) == ("what happened", "what to do")


def test_a_rate_limit_keeps_its_pause() -> None:
    with pytest.raises(RateLimitedError) as caught:
        recall(keep_error(RateLimitedError("slower", retry_after_seconds=1.5)))
    assert caught.value.retry_after_seconds == 1.5


def test_an_error_made_elsewhere_comes_back_as_the_nearest_of_ours() -> None:
    class TooFewScopesError(ForbiddenError):
        pass

    with pytest.raises(ForbiddenError, match="scope"):
        recall(keep_error(TooFewScopesError("scope")))


@pytest.mark.parametrize("answer", [object(), {1, 2}, b"bytes"])
def test_what_is_no_json_is_refused_by_name(answer: object) -> None:
    with pytest.raises(TypeError, match="'prepare' is not JSON"):
        keep_answer("prepare", answer)
