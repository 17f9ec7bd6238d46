import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from claude_flow.testing.messages_script import Say, bash, write_file
from claude_flow.testing.world import World

TOOLS = [{"name": "Bash"}, {"name": "Write"}]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def _ask(world: World, *messages: tuple[str, str], stream: bool = True) -> requests.Response:
    body = {
        "model": "claude-test",
        "max_tokens": 100,
        "stream": stream,
        "tools": TOOLS,
        "system": [{"type": "text", "text": "Primary working directory: /srv/repo\nMore."}],
        "messages": [{"role": role, "content": text} for role, text in messages],
    }
    return requests.post(f"{world.messages_url}/v1/messages?beta=true", json=body, timeout=10)


def _events(answer: requests.Response) -> list[dict[str, Any]]:
    frames = [frame.split("\n") for frame in answer.text.split("\n\n") if frame]
    events = [json.loads(data.removeprefix("data: ")) for _, data in frames]
    assert [f"event: {event['type']}" for event in events] == [name for name, _ in frames]
    return events


def test_a_turn_comes_as_server_sent_events(world: World) -> None:
    world.messages.script([Say("Hm."), write_file("a.py", "x\n")])
    answer = _ask(world, ("user", "Do it"))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = _events(answer)
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert [event["type"] for event in events] == [
        "message_start",
        *block,
        *block,
        "message_delta",
        "message_stop",
    ]
    call = json.loads(events[5]["delta"]["partial_json"])
    assert call == {"file_path": "/srv/repo/a.py", "content": "x\n"}
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_turns_follow_each_other_and_end(world: World) -> None:
    world.messages.script([bash("true")], [Say("All good.")])
    conversation: list[tuple[str, str]] = [("user", "Do it")]
    said = []
    for _ in range(3):
        message = _ask(world, *conversation, stream=False).json()
        said.append((message["stop_reason"], message["content"][0].get("text")))
        conversation += [("assistant", "…"), ("user", "…")]
    assert said == [("tool_use", None), ("end_turn", "All good."), ("end_turn", "Done.")]
    assert [request.turn for request in world.messages.requests] == [0, 1, 2]


def test_a_script_is_chosen_by_the_prompt(world: World) -> None:
    world.messages.script([Say("one")], match="first")
    world.messages.script([Say("two")])
    texts = [
        _ask(world, ("user", prompt), stream=False).json()["content"][0]["text"]
        for prompt in ("the first issue", "another")
    ]
    assert texts == ["one", "two"]


def test_without_a_script_the_issue_s_own_words_are_done(world: World) -> None:
    prompt = "In `a.py` replace `x` with `y`."
    tools = []
    conversation: list[tuple[str, str]] = [("user", prompt)]
    for _ in range(3):
        blocks = _ask(world, *conversation, stream=False).json()["content"]
        tools += [block.get("name", block.get("text")) for block in blocks]
        conversation += [("assistant", "…"), ("user", "…")]
    assert tools[1:] == ["Read", "Edit", "Changed a.py as the issue asks."]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_refusals_are_the_provider_s(world: World, status: int, kind: str) -> None:
    world.messages.fail(status, retry_after=3)
    refused = _ask(world, ("user", "Do it"))
    assert (refused.status_code, refused.json()["error"]["type"]) == (status, kind)
    assert refused.headers["retry-after"] == "3"
    assert _ask(world, ("user", "Do it")).status_code == 200


def test_an_answer_may_be_cut(world: World) -> None:
    world.messages.cut()
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ask(world, ("user", "Do it"))


def test_an_answer_may_never_come(world: World) -> None:
    world.messages.hang()
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{world.messages_url}/v1/messages", json={"messages": []}, timeout=(5, 0.3))


def test_tokens_are_counted(world: World) -> None:
    answer = requests.post(
        f"{world.messages_url}/v1/messages/count_tokens", json={"messages": []}, timeout=10
    )
    assert answer.json()["input_tokens"] > 0
