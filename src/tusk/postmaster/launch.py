"""Forking a child and making it a clean process of its own."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from tusk.errors import Fatal, Panic, SqlError, as_fatal, as_panic
from tusk.memory import _interrupts, _latch, _process, _procsignal
from tusk.memory._critical import critical_count
from tusk.postmaster.kinds import KINDS
from tusk.stats import _activity, serverlog, session_info, title
from tusk.stats.backend_types import BackendType
from tusk.transaction import _state


def fork_child(backend_type: BackendType, run: Callable[[], None], prepare: Callable[[], None]) -> int:
    """Fork; the child calls ``prepare`` (close what is the postmaster's) and ``run``, and exits. Returns its pid.

    Signals are blocked across the fork, so that none reaches the child under the postmaster's handlers.
    Raises OSError where the system has no process to give.
    """
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            _child(backend_type, run, prepare)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Have the kernel send SIGQUIT when the postmaster dies: a busy process never looks at the death pipe."""
    parent = os.getppid()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _leave_shared_memory() -> None:
    """Give back the slot of a process that ends in good order, if it did not do so itself."""
    if _process.my_proc_number() >= 0:
        _activity.end_status()
        _procsignal.exit_proc_signal()
        _process.release_process()


def _child(backend_type: BackendType, run: Callable[[], None], prepare: Callable[[], None]) -> NoReturn:
    """The life of a child: set up, run, and leave with an exit status the postmaster understands."""
    status = 2
    try:
        os.setsid()
        _die_with_parent()
        _latch.start_death_watch_in_child()
        _process.forget_process_after_fork()
        _state.set_under_postmaster(True)
        _interrupts.reset_interrupts()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        prepare()
        random.seed()
        # What a backend is to be, it is when its first message has been read.
        is_session = backend_type in (BackendType.BACKEND, BackendType.DEAD_END_BACKEND)
        shown = BackendType.INVALID if is_session else backend_type
        session_info.begin(session_info.SessionInfo(backend_type=shown))
        kind = KINDS[backend_type]
        if kind.title:
            title.init_title(kind.title)
        run()
        _leave_shared_memory()
        status = 0
    except (Fatal, SqlError) as error:
        if critical_count():
            serverlog.log_error(as_panic(error))
            os.abort()
        # Nothing above this catches an ERROR, so it ends the process.
        serverlog.log_error(as_fatal(error))
        status = 1
    except Panic as error:
        serverlog.log_error(error)
        os.abort()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 2
    finally:
        sys.stderr.flush()
        os._exit(status)
