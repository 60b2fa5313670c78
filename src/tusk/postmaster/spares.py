"""The postmaster's end of the session template: who asks it for backends, and gives them their clients.

Two channels. On the control channel the postmaster asks for a fork and hears the pid; the fork is the postmaster's own
child. Into the queue it puts accepted sockets; whichever spare backend is free takes the next. All that the postmaster
closes when it wants no more of this generation: spares without a client see the end of the queue and leave, those with
one go on.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from tusk.backend.template import FORK, HANDOVER, READY
from tusk.memory import _fork

_SPARES = 2
_MAX_WAITING = 4            # sockets in the queue for which no spare is there yet
_PID = struct.Struct("i")


class Spares:
    """One generation: a template process and the idle backends that it forked."""

    def __init__(self, on_fork: Callable[[int], None]) -> None:
        self.pid = 0
        self.is_ready = False
        self.nidle = 0              # idle spares, less the sockets that wait for one
        self.nasked = 0             # forks asked for and not yet reported
        self._on_fork = on_fork
        self.control, self.control_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.queue, self.queue_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)

    def close_in_child(self) -> None:
        """In a child that is not the template: what it must not hold, so that the queue can end."""
        for sock in (self.control, self.control_end, self.queue, self.queue_end):
            sock.close()

    def close_in_template(self) -> None:
        """In the template: the postmaster's ends."""
        self.control.close()
        self.queue.close()

    def started(self, pid: int) -> None:
        """The template was forked: only it and its forks read from now on."""
        self.pid = pid
        self.control_end.close()
        self.queue_end.close()

    def retire(self) -> None:
        """No more of this generation: the template and the idle spares leave by themselves."""
        self.is_ready = False
        self.control.close()
        self.queue.close()

    def hear(self) -> bool:
        """Read what the template says; False when it is gone."""
        while True:
            try:
                message = self.control.recv(16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not message:
                return False
            if message[:1] == READY:
                self.is_ready = True
                self._ask()
                continue
            self.nasked -= 1
            (pid,) = _PID.unpack(message[1:])
            if pid > 0:
                self.nidle += 1
                self._on_fork(pid)
            else:
                self.is_ready = False   # no processes to be had: back to the postmaster's own forks, which say so

    def hand_over(self, client: socket.socket, accepted_at: float) -> bool:
        """Give a client to a spare; False where that cannot be done, and the postmaster must fork."""
        if not self.is_ready or self.nidle + self.nasked <= -_MAX_WAITING:
            return False
        try:
            if not _fork.send_fd(self.queue.fileno(), HANDOVER.pack(accepted_at), client.fileno()):
                return False
        except OSError:
            return False
        self.nidle -= 1
        self._ask()
        return True

    def _ask(self) -> None:
        try:
            while self.nidle + self.nasked < _SPARES:
                self.control.send(FORK)
                self.nasked += 1
        except OSError:
            self.is_ready = self.nidle + self.nasked > 0
