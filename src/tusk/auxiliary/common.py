"""What every auxiliary process does first: take a slot, install its signal handlers, become reachable."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tusk.config import settings
from tusk.config.files import load_config_files
from tusk.errors import Panic, SqlError, as_panic, errcode
from tusk.memory import _interrupts, _latch, _lwlock, _process, _procsignal, _wait
from tusk.memory._critical import critical_count
from tusk.stats import _activity, _pending, serverlog
from tusk.stats.backend_types import BackendType
from tusk.storage import _buffer, _smgr, _sync
from tusk.wal import _insert, _xlogctl

T = TypeVar("T")

_AUXILIARY_SLOT = 4                # PROC_KIND_AUXILIARY
SIGNALS = (
    signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
    signal.SIGPIPE, signal.SIGCHLD,
)  # fmt: skip


def begin(role: str, backend_type: BackendType, actions: Mapping[signal.Signals, str], *, forward_syncs: bool) -> None:
    """Set up a freshly forked child. ``actions`` names what INT, TERM and USR2 do; those not named are ignored.

    HUP reloads, USR1 brings process signals, QUIT leaves at once with status 2. Signals arrive blocked and are let
    through at the end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM, signal.SIGPIPE):
        if number in actions:
            _interrupts.install_signal(number, actions[number])
        else:
            signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _interrupts.install_signal(signal.SIGHUP, "reload")
    _interrupts.install_signal(signal.SIGUSR1, "procsignal")
    _interrupts.install_signal(signal.SIGQUIT, "exit", 2)
    _process.init_process(_AUXILIARY_SLOT, int(backend_type))
    _process.announce(role)
    _activity.begin_status(int(backend_type), None, -1, False)
    _procsignal.init_proc_signal()
    _xlogctl.configure(under_postmaster=True)
    _sync.init_sync(forward_syncs)
    _interrupts.set_interrupt_handler(serve_interrupts)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def serve_interrupts() -> None:
    """Process signals at once; reload and shutdown are looked at by the main loops."""
    if _interrupts.take("ProcSignal"):
        _procsignal.process_proc_signals()


def reload_if_asked() -> bool:
    """Read the configuration files again after SIGHUP; whether that happened."""
    if not _interrupts.take("ConfigReload"):
        return False
    load_config_files(Path(settings.data_directory or "."), Path(settings.config_file), is_reload=True)
    return True


def sleep(timeout_ms: int, wait_event: int) -> int:
    """Wait on the latch, having flushed what was counted; leaves the process if the postmaster is gone."""
    _pending.flush()
    mask = _latch.wait(timeout_ms, wait_event)
    _latch.reset()
    if mask & _latch.POSTMASTER_DEATH:
        os._exit(1)
    _interrupts.check()
    return mask


def guarded(step: Callable[[], T]) -> T | None:
    """Do one step of a main loop; an ERROR in it is logged and cleaned up after, anything worse ends the process."""
    try:
        return step()
    except Exception as error:
        recover(error)
        return None


def recover(error: Exception) -> None:
    """Log an error, let go of everything it left behind, and pause so as not to fill the log."""
    if critical_count():
        if isinstance(error, SqlError):
            raise as_panic(error) from error
        raise Panic(errcode.INTERNAL_ERROR, repr(error)) from error
    _interrupts.reset_holdoff()
    serverlog.log_error(error if isinstance(error, SqlError) else SqlError(errcode.INTERNAL_ERROR, repr(error)))
    _lwlock.release_all()
    _wait.clear_wait()
    _buffer.release_pins()
    _insert.reset_insertion()
    _smgr.release_all()
    sleep(1000, 0)
