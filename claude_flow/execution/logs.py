"""An attempt's streams on disk: written with a bound, read while they grow."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

# The last words (stream-json's result) matter most: this much of them is kept beyond the bound.
_LAST_WORDS_BYTES = 1024 * 1024
_READ_BYTES = 32 * 1024


class BoundedLog:
    """Appends to a file; beyond ``limit_bytes`` only the last words are kept.

    A marker line stands where bytes were dropped.
    """

    def __init__(
        self, path: Path, *, limit_bytes: int, last_words_bytes: int = _LAST_WORDS_BYTES
    ) -> None:
        self._stream = path.open("ab", buffering=0)
        self._limit_bytes = limit_bytes
        self._left = limit_bytes
        self._last_words_bytes = last_words_bytes
        self._held = bytearray()
        self._dropped = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        written = chunk[: self._left]
        self._append(written)
        self._left -= len(written)
        self._hold(chunk[len(written) :])

    def _hold(self, rest: bytes) -> None:
        self._held += rest
        excess = len(self._held) - 2 * self._last_words_bytes
        if excess > 0:  # cut rarely and much, not a little on every write
            self._drop(len(self._held) - self._last_words_bytes)

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self._dropped += count

    def close(self) -> None:
        """Write the last words and close the file."""
        if self._dropped:
            # Begin with a whole line: half a JSON line would be read as nothing anyway.
            self._drop(self._held.find(b"\n") + 1)
            marker = (
                f"\n[claude-flow-run: {self._dropped} bytes dropped here, "
                f"over the limit of {self._limit_bytes}]\n"
            )
            self._append(marker.encode())
        self._append(bytes(self._held))
        self._held.clear()
        self._stream.close()

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # an unbuffered write may take only a part
            view = view[self._stream.write(view) or 0 :]


class LogTail:
    """Reads a growing text file line by line, from ``offset``."""

    def __init__(self, path: Path, *, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._partial = bytearray()

    def lines(self) -> list[str]:
        """The lines finished since the last call, without their ends; invalid UTF-8 replaced.

        Beyond one line at most 32 KiB per call, so that a flood of short ones does not hold up
        the caller; empty means that there is nothing new.
        """
        while chunk := self._next_chunk():
            cut = chunk.rfind(b"\n") + 1
            if not cut:
                self._partial += chunk
                continue
            whole = bytes(self._partial) + chunk[:cut]
            self._partial = bytearray(chunk[cut:])
            return [_decode(line) for line in whole[:-1].split(b"\n")]
        return []

    def rest(self) -> list[str]:
        """A last line that has no end, once nothing more will come."""
        partial = bytes(self._partial)
        self._partial.clear()
        return [_decode(partial)] if partial else []

    def _next_chunk(self) -> bytes:
        try:
            with self._path.open("rb", buffering=0) as stream:
                stream.seek(self._offset)
                chunk = stream.read(_READ_BYTES) or b""
        except FileNotFoundError:
            return b""
        self._offset += len(chunk)
        return chunk


def _decode(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", errors="replace")


def size(path: Path) -> int:
    """A file's size in bytes, 0 if it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_text(path: Path, *, since: int, limit_bytes: int) -> str:
    """The end of a log, at most ``limit_bytes`` of what was written after offset ``since``."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(since, size(path) - limit_bytes))
            return stream.read(limit_bytes).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
