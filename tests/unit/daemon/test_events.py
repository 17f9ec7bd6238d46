from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from claude_flow.daemon.events import EventStreams, Pace, RunMoment
from claude_flow.daemon.http import create_app
from claude_flow.daemon.http_guard import ApiToken
from claude_flow.daemon.http_server import RunningServer, serve
from claude_flow.errors import EngineError
from claude_flow.execution.event_log import EventPosition, ToldEvent
from claude_flow.model.events import AgentEvent, Text
from claude_flow.model.run import Phase, Reason, Run, RunState, Usage
from claude_flow.ports import Progress
from claude_flow.testing.service_view import FakeServiceView

MakeRun = Callable[..., Run]
PATIENCE_SECONDS = 10
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass
class Follower:
    """A reader of one stream, as far as these tests need one."""

    status: int
    reader: asyncio.StreamReader

    async def block(self) -> dict[str, str]:
        """The next event or comment by its fields."""
        fields = {}
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (line := (await self._line())) != "":
                name, _, value = line.partition(":")
                fields[name or "comment"] = value.strip()
        return fields

    async def event(self) -> tuple[str, Any]:
        """The next event, comments left out."""
        while "event" not in (fields := await self.block()):
            assert "comment" in fields, "the stream has ended"
        return fields["event"], json.loads(fields["data"])

    async def rest(self) -> bytes:
        """What comes until the end of the stream, chunk marks included."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.reader.read()

    async def _line(self) -> str:
        """The next line that is not a mark of the chunked encoding."""
        while True:
            raw = await self.reader.readline()
            assert raw, "the stream has ended"
            line = raw.decode().rstrip("\r\n")
            is_chunk_mark = raw.endswith(b"\r\n")
            if not is_chunk_mark:
                return line


@asynccontextmanager
async def follow(
    server: RunningServer, run_id: str, after: str | None = None
) -> AsyncIterator[Follower]:
    host, _, port = server.address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: {server.address}\r\n"
    if after is not None:
        head += f"Last-Event-ID: {after}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        status = int((await reader.readline()).split()[1])
        while await reader.readline() != b"\r\n":
            pass
    try:
        yield Follower(status, reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to pass")


@pytest.fixture
def run(view: FakeServiceView, make_run: MakeRun) -> Run:
    made = make_run(1, RunState.RUNNING)
    view.recorded[made.id] = made
    view.agents[made.id] = Progress(Usage(1, 100, None), "started")
    return made


async def test_from_first_word_to_the_end(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    async with follow(server, run.id) as follower:
        assert follower.status == 200
        progress = {"turns": 1, "tokens": 100, "cost_usd": None, "last_event": "started"}
        assert await follower.event() == ("progress", progress)
        assert await follower.event() == ("run", run.to_json())

        view.agents[run.id] = Progress(Usage(2, 250, 0.01), "line one\n\ndata: forged")
        name, data = await follower.event()
        assert (name, data["last_event"]) == ("progress", "line one\n\ndata: forged")

        publishing = replace(run, phase=Phase.PUBLISHING)
        view.recorded[run.id] = publishing
        assert await follower.event() == ("run", publishing.to_json())

        ended = replace(run, state=RunState.FAILED, phase=None, reason=Reason.STALLED)
        view.recorded[run.id] = ended
        assert await follower.event() == ("run", ended.to_json())
        assert b"event:" not in await follower.rest()


async def test_silence_is_filled_with_heartbeats(server: RunningServer, run: Run) -> None:
    async with follow(server, run.id) as follower:
        await follower.event()
        await follower.event()
        assert await follower.block() == {"comment": "still here"}


async def test_a_reader_that_comes_back_hears_only_news(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    async with follow(server, run.id) as follower:
        last = (await follower.block())["id"]
    async with follow(server, run.id, after=last) as follower:
        assert await follower.block() == {"comment": "still here"}
        ended = replace(run, state=RunState.CANCELLED)
        view.recorded[run.id] = ended
        fields = await follower.block()
        assert json.loads(fields["data"]) == ended.to_json()
    async with follow(server, run.id, after=fields["id"]) as follower:
        assert follower.status == 204, "a browser would come back for ever"


async def test_a_reader_with_an_unknown_place_hears_all(server: RunningServer, run: Run) -> None:
    async with follow(server, run.id, after="from-an-older-release") as follower:
        assert (await follower.event())[0] == "progress"


def nothing(_run_id: str, _after: EventPosition) -> list[ToldEvent]:
    return []


def say(number: int, attempt: int = 1) -> ToldEvent:
    event = AgentEvent(NOW, attempt, "agent", Text(f"word {number}\n\ndata: forged"))
    return ToldEvent(event.to_line().decode().strip(), EventPosition(attempt, number * 100))


async def test_what_happens_is_told_as_it_comes(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    view.told[run.id] = [say(1)]
    async with follow(server, run.id) as follower:
        assert await follower.event() == ("agent", json.loads(say(1).line))
        assert [(await follower.event())[0] for _ in range(2)] == ["progress", "run"]
        view.told[run.id] += [say(2), say(1, attempt=2)]
        assert await follower.event() == ("agent", json.loads(say(2).line))
        assert await follower.event() == ("agent", json.loads(say(1, attempt=2).line))
        # What comes with the end is told before it.
        view.told[run.id].append(say(2, attempt=2))
        view.recorded[run.id] = replace(run, state=RunState.CANCELLED)
        assert (await follower.event())[0] == "agent"
        assert (await follower.event())[1]["state"] == "cancelled"
        assert b"event:" not in await follower.rest()


async def test_resumed_after_any_event_nothing_is_lost_or_doubled(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    view.recorded[run.id] = replace(run, state=RunState.SUCCEEDED)
    view.told[run.id] = [say(1), say(2), say(1, attempt=3)]

    async def all_after(last: str | None) -> list[dict[str, str]]:
        async with follow(server, run.id, after=last) as follower:
            if follower.status == 204:
                return []
            return [await follower.block() for _ in range(follower_count(last))]

    def follower_count(last: str | None) -> int:
        return 5 if last is None else 4 - ids.index(last)

    ids: list[str] = []
    whole = await all_after(None)
    ids = [block["id"] for block in whole]
    assert [block["event"] for block in whole] == ["agent"] * 3 + ["progress", "run"]
    for index, block in enumerate(whole[:3]):
        assert await all_after(block["id"]) == whole[index + 1 :]
    assert whole[3]["id"] == whole[4]["id"], "both tell one moment"
    assert await all_after(whole[4]["id"]) == []


async def test_an_end_with_words_that_the_reader_has_not_is_not_all(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    view.recorded[run.id] = replace(run, state=RunState.SUCCEEDED)
    async with follow(server, run.id) as follower:
        last = (await follower.block())["id"]
    view.told[run.id] = [say(1)]
    async with follow(server, run.id, after=last) as follower:
        assert await follower.event() == ("agent", json.loads(say(1).line))
        assert b"event:" not in await follower.rest()


async def test_lines_that_are_no_events_are_passed_over(
    view: FakeServiceView, server: RunningServer, run: Run
) -> None:
    odd = ToldEvent('{"kind": "of a later release"}\r\n', EventPosition(1, 50))
    view.told[run.id] = [odd, say(1)]
    async with follow(server, run.id) as follower:
        assert await follower.event() == ("agent", json.loads(say(1).line))


async def test_events_that_cannot_be_read_are_told_in_the_log(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    def read_happened(_run_id: str, _after: EventPosition) -> list[ToldEvent]:
        raise PermissionError("not yours")

    streams = EventStreams(lambda _run_id: None, read_happened, Pace(poll_seconds=0.01))
    moment = RunMoment(make_run(1, RunState.SUCCEEDED), Progress())
    assert len([block async for block in streams.follow(moment, after=None)]) == 1
    assert "not yours" in caplog.text


async def test_an_unknown_run(ask: Callable[..., Awaitable[Any]]) -> None:
    answer = await ask("/api/v1/runs/no-such-run/events")
    assert (answer.status, answer.error_code) == (404, "not_found")


async def test_a_reader_that_leaves_is_forgotten(view: FakeServiceView, run: Run) -> None:
    app = create_app(view, ApiToken("t"), pace=Pace(poll_seconds=0.02))
    running = await serve(app, "127.0.0.1", 0)
    try:
        async with follow(running, run.id) as follower:
            await follower.event()
            assert app.state.streams.open_count == 1
        await until(lambda: app.state.streams.open_count == 0)
    finally:
        await running.stop()


async def test_the_daemons_end_ends_the_streams(view: FakeServiceView, run: Run) -> None:
    an_hour = Pace(poll_seconds=3600)
    running = await serve(create_app(view, ApiToken("t"), pace=an_hour), "127.0.0.1", 0)
    async with follow(running, run.id) as follower:
        await follower.event()
        await follower.event()
        async with asyncio.timeout(2):  # less than uvicorn's own patience with open connections
            await running.stop()
        assert (await follower.rest()).strip() == b"0", "the whole answer came, without more"


async def test_too_many_streams(view: FakeServiceView, run: Run) -> None:
    app = create_app(view, ApiToken("t"), pace=Pace(poll_seconds=0.02))
    app.state.streams.open_count = 32
    running = await serve(app, "127.0.0.1", 0)
    try:
        async with follow(running, run.id) as follower:
            assert follower.status == 503
    finally:
        await running.stop()


async def test_streams_are_counted(make_run: MakeRun) -> None:
    streams = EventStreams(lambda _run_id: None, nothing, Pace(), limit=1)
    stream = streams.follow(RunMoment(make_run(1, RunState.RUNNING), Progress()), after=None)
    fullness = [streams.is_full]
    await anext(stream)
    fullness.append(streams.is_full)
    streams.close()
    assert [block async for block in stream] == []
    assert [*fullness, streams.is_full] == [False, True, False]


async def test_a_database_that_goes_away_ends_the_stream(
    make_run: MakeRun, caplog: pytest.LogCaptureFixture
) -> None:
    def read(_run_id: str) -> RunMoment | None:
        raise EngineError("the database is away")

    streams = EventStreams(read, nothing, Pace(poll_seconds=0.01))
    moment = RunMoment(make_run(1, RunState.RUNNING), Progress())
    async with asyncio.timeout(PATIENCE_SECONDS):
        blocks = [block async for block in streams.follow(moment, after=None)]
    assert len(blocks) == 1
    assert "the database is away" in caplog.text
