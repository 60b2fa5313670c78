"""The protocol of the pipe to the logger (postmaster/syslogger.h).

A message travels in chunks of at most PIPE_BUF bytes, which the kernel writes whole or not at all; each names its
process, its destination, and whether it is the last. So the logger can put messages together again although many
processes write at the same time. What is not in this form (a traceback, the output of a library) is passed through.
"""

from __future__ import annotations

import os
import select
import struct
from collections.abc import Iterator

HEADER = struct.Struct("=2sHiB")        # two NULs, payload length, pid, flags
CHUNK_SIZE = min(select.PIPE_BUF, 65536)
MAX_PAYLOAD = CHUNK_SIZE - HEADER.size

IS_LAST = 0x01
DEST_STDERR = 0x10
DEST_CSVLOG = 0x20
DEST_JSONLOG = 0x40
DESTINATIONS = DEST_STDERR | DEST_CSVLOG | DEST_JSONLOG


def write_chunks(fd: int, data: bytes, destination: int) -> None:
    """Send one message. A pipe that nobody reads loses it: there is no better place to say so."""
    pid = os.getpid()
    at = 0
    try:
        while True:
            payload = data[at : at + MAX_PAYLOAD]
            at += MAX_PAYLOAD
            last = IS_LAST if at >= len(data) else 0
            os.write(fd, HEADER.pack(b"\0\0", len(payload), pid, destination | last) + payload)
            if last:
                return
    except OSError:
        return


class Assembler:
    """Puts messages together from what is read."""

    def __init__(self) -> None:
        self._input = b""
        self._parts: dict[tuple[int, int], list[bytes]] = {}

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Complete messages, as (destination, bytes), in the order in which they were completed."""
        self._input += data
        at, buffered = 0, self._input
        while len(buffered) - at >= HEADER.size + 1:
            nuls, length, pid, flags = HEADER.unpack_from(buffered, at)
            destination = flags & DESTINATIONS
            is_chunk = (
                nuls == b"\0\0"
                and 0 < length <= MAX_PAYLOAD
                and pid != 0
                and destination in (DEST_STDERR, DEST_CSVLOG, DEST_JSONLOG)
            )
            if not is_chunk:
                # Not ours: everything up to where the next chunk may begin.
                end = buffered.find(b"\0", at + 1)
                end = len(buffered) if end < 0 else end
                yield DEST_STDERR, buffered[at:end]
                at = end
                continue
            if len(buffered) - at < HEADER.size + length:
                break
            payload = buffered[at + HEADER.size : at + HEADER.size + length]
            at += HEADER.size + length
            key = (pid, destination)
            if flags & IS_LAST:
                parts = self._parts.pop(key, None)
                yield destination, b"".join((*parts, payload)) if parts else payload
            else:
                self._parts.setdefault(key, []).append(payload)
        self._input = buffered[at:]
        if self._input and not b"\0\0".startswith(self._input[:2]):
            # Too short for a header, and cannot become one.
            yield DEST_STDERR, self._input
            self._input = b""

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """At the end of the pipe: messages whose end never came, and loose bytes."""
        for (_, destination), parts in self._parts.items():
            yield destination, b"".join(parts)
        self._parts.clear()
        if self._input:
            yield DEST_STDERR, self._input
            self._input = b""
