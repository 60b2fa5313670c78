"""The client's socket: whole messages in, buffered messages out, every wait on the latch.

Used only by the backend that owns the connection. The socket is non-blocking; a wait serves interrupts, so a
`pg_terminate_backend` ends an idle session at once.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from tusk.backend.protocol import MAX_MESSAGE, SMALL_LIMIT, SMALL_MESSAGES
from tusk.errors import Fatal, errcode
from tusk.memory import wait_events
from tusk.memory._interrupts import check as check_for_interrupts
from tusk.memory._latch import reset as reset_latch
from tusk.memory._latch import wait as wait_latch
from tusk.stats._activity import late_flush, late_flush_wanted

CLIENT_READ, CLIENT_WRITE = wait_events.by_name["ClientRead"], wait_events.by_name["ClientWrite"]

READABLE, WRITEABLE, TIMEOUT, POSTMASTER_DEATH = 2, 4, 8, 16
IDLE_FLUSH_MS = 10000           # idle for so long, a session flushes the statistics that it has kept back
_SEND_THRESHOLD = 8192
_RECEIVE_SIZE = 65536


class ConnectionLost(Exception):
    """The client is gone; there is nobody to tell."""


class AuthenticationTimeout(Exception):
    """``authentication_timeout`` ran out; the client only sees the connection close."""


class ClientConnection:
    """A connected client."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.fileno = sock.fileno()
        self.is_unix = sock.family == socket.AF_UNIX
        if not self.is_unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.deadline: float | None = None
        self.lost = False
        self.is_out_of_sync = False     # what comes next from the client is not the start of a message
        self.before_wait: Callable[[], None] | None = None
        self._in = b""
        self._at = 0
        self._out: list[bytes] = []
        self._out_size = 0

    # Receiving

    def _fill(self) -> None:
        """Receive more; waits until there is something. Raises ConnectionLost at the end of the stream."""
        while True:
            try:
                data = self.socket.recv(_RECEIVE_SIZE)
            except (BlockingIOError, InterruptedError):
                if self.before_wait is not None:
                    self.before_wait()
                self._wait(READABLE)
                continue
            except OSError as error:
                self.lost = True
                raise ConnectionLost(f"could not receive data from client: {error.strerror}") from error
            if not data:
                self.lost = True
                raise ConnectionLost("unexpected EOF on client connection")
            self._in = self._in[self._at :] + data if self._at < len(self._in) else data
            self._at = 0
            return

    def _wait(self, events: int) -> None:
        timeout_ms = -1
        if self.deadline is not None:
            timeout_ms = int((self.deadline - time.monotonic()) * 1000)
            if timeout_ms <= 0:
                raise AuthenticationTimeout
        elif events == READABLE and late_flush_wanted():
            timeout_ms = IDLE_FLUSH_MS
        wanted_event = CLIENT_READ if events == READABLE else CLIENT_WRITE
        happened = wait_latch(timeout_ms, wanted_event, self.fileno, events == READABLE, events == WRITEABLE)
        if happened & POSTMASTER_DEATH:
            raise Fatal(errcode.ADMIN_SHUTDOWN, "terminating connection due to unexpected postmaster exit")
        if happened & TIMEOUT and self.deadline is None:
            late_flush()
        reset_latch()
        check_for_interrupts()

    def wait_readable(self) -> None:
        """Wait until the client has sent something, or something else has happened."""
        self._wait(READABLE)

    def wait_writeable(self) -> None:
        """Wait until the client takes more."""
        self._wait(WRITEABLE)

    def has_input(self) -> bool:
        """Whether bytes of a next message have arrived already."""
        return self._at < len(self._in)

    def read_exact(self, count: int) -> bytes:
        """That many bytes, waiting as needed."""
        while len(self._in) - self._at < count:
            self._fill()
        start = self._at
        self._at = start + count
        return self._in[start : self._at]

    def read_message(self, max_length: int = MAX_MESSAGE) -> tuple[int, bytes]:
        """The next message: its type byte and its body.

        A length that makes no sense ends the session: the stream has lost its frames.
        """
        available = len(self._in) - self._at
        while available < 5:
            self._fill()
            available = len(self._in) - self._at
        at = self._at
        kind = self._in[at]
        length = int.from_bytes(self._in[at + 1 : at + 5], "big", signed=True)
        limit = SMALL_LIMIT if kind in SMALL_MESSAGES else max_length
        if length < 4 or length - 4 > limit:
            # Only the log is told: what sends this may not be a client at all.
            self.lost = True
            raise ConnectionLost("invalid message length")
        if available <= length:
            return self._read_long(kind, length)
        self._at = end = at + 1 + length
        return kind, self._in[at + 5 : end]

    def take_many(self, split: Callable[[bytes, int], tuple[bytes, int]]) -> bytes:
        """The joined bodies of all complete messages that ``split`` recognises at the front of what has arrived.

        Waits for input only where none is there; the answer is empty when the next message is none of those.
        """
        if self._at >= len(self._in):
            self._fill()
        data, self._at = split(self._in, self._at)
        return data

    def _read_long(self, kind: int, length: int) -> tuple[int, bytes]:
        """A message of which only a part has arrived: gather the pieces without joining them again and again."""
        self._at += 5
        wanted = length - 4
        pieces = [self._in[self._at :]]
        have = len(pieces[0])
        self._at = len(self._in)
        while have < wanted:
            self._fill()
            pieces.append(self._in)
            have += len(self._in)
            self._at = len(self._in)
        body = b"".join(pieces)
        self._in, self._at = body[wanted:], 0
        return kind, body[:wanted]

    # Sending

    def send(self, data: bytes) -> None:
        """Queue bytes; they leave when enough are waiting, or with `flush`."""
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size >= _SEND_THRESHOLD:
            self.flush()

    def flush(self) -> None:
        """Send everything queued. A client that is gone raises ConnectionLost."""
        if not self._out:
            return
        data = memoryview(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()
        self._out_size = 0
        while data:
            try:
                sent = self.socket.send(data)
            except (BlockingIOError, InterruptedError):
                self._wait(WRITEABLE)
                continue
            except OSError as error:
                self.lost = True
                raise ConnectionLost(f"could not send data to client: {error.strerror}") from error
            data = data[sent:]

    def flush_if_possible(self) -> None:
        """Last words before closing: try once, never wait, never complain."""
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        if data and not self.lost:
            try:
                self.socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except OSError:
                self.lost = True

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
