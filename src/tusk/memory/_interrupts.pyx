"""Interrupts: what signal handlers note, and where it is served.

The handlers are C functions that set flags and the latch, so a signal is noticed however little Python runs, and never
in the middle of a bytecode. `check_for_interrupts` calls the handler that the process has registered; it decides and
may raise. Nothing is served while interrupts are held off or in a critical section.
"""

import signal as _signal
from collections.abc import Callable

from libc.errno cimport errno
from posix.unistd cimport _exit

cdef extern from "<signal.h>" nogil:
    ctypedef void (*handler_t)(int) noexcept nogil
    ctypedef struct sigset_t:
        pass
    cdef struct sigaction_t "sigaction":
        handler_t sa_handler
        sigset_t sa_mask
        int sa_flags
    int c_sigaction "sigaction"(int signum, const sigaction_t *action, sigaction_t *old)
    int sigemptyset(sigset_t *signals)
    int sigfillset(sigset_t *signals)
    int sigprocmask(int how, const sigset_t *signals, sigset_t *old)
    handler_t SIG_DFL
    handler_t SIG_IGN
    enum:
        SA_RESTART
        SIG_UNBLOCK
        NSIG

cdef enum:
    ACTION_NONE = 0
    ACTION_CANCEL = 1
    ACTION_DIE = 2
    ACTION_RELOAD = 3
    ACTION_SHUTDOWN = 4
    ACTION_PROC_SIGNAL = 5
    ACTION_EXIT = 6
    ACTION_TIMEOUT = 7
    ACTION_LATCH = 8

cdef int _actions[65]
cdef int _exit_codes[65]
_handler: Callable[[], None] | None = None
_timeout_hook: Callable[[], None] | None = None

ACTIONS = {
    "cancel": ACTION_CANCEL,
    "die": ACTION_DIE,
    "reload": ACTION_RELOAD,
    "shutdown": ACTION_SHUTDOWN,
    "procsignal": ACTION_PROC_SIGNAL,
    "exit": ACTION_EXIT,
    "timeout": ACTION_TIMEOUT,
    "latch": ACTION_LATCH,
}


cdef void _on_signal(int signum) noexcept nogil:
    global InterruptPending, QueryCancelPending, ProcDiePending, ConfigReloadPending, ShutdownRequestPending
    global ProcSignalPending, TimeoutPending
    cdef int saved_errno = errno
    cdef int action = _actions[signum]
    if action == ACTION_EXIT:
        _exit(_exit_codes[signum])
    elif action == ACTION_CANCEL:
        QueryCancelPending = 1
        InterruptPending = 1
    elif action == ACTION_DIE:
        ProcDiePending = 1
        InterruptPending = 1
    elif action == ACTION_RELOAD:
        ConfigReloadPending = 1
        InterruptPending = 1
    elif action == ACTION_SHUTDOWN:
        ShutdownRequestPending = 1
        InterruptPending = 1
    elif action == ACTION_PROC_SIGNAL:
        ProcSignalPending = 1
        InterruptPending = 1
    elif action == ACTION_TIMEOUT:
        TimeoutPending = 1
        InterruptPending = 1
    if set_latch_hook != NULL:
        set_latch_hook()
    (&errno)[0] = saved_errno


def install_signal(signum: int, action: str, exit_code: int = 2) -> None:
    """Let a C handler take the signal. ``action`` is a key of ACTIONS; "exit" leaves at once with `exit_code`."""
    cdef sigaction_t installed
    _release_from_python(signum)
    _actions[signum] = ACTIONS[action]
    _exit_codes[signum] = exit_code
    installed.sa_handler = _on_signal
    sigemptyset(&installed.sa_mask)
    # Sleeps must end with EINTR only where the latch does not do it: poll() is never restarted anyway.
    installed.sa_flags = SA_RESTART
    c_sigaction(signum, &installed, NULL)


cdef int _release_from_python(int signum) except -1:
    """Python must know that a signal is not its own any more, if it was."""
    cdef sigaction_t old
    c_sigaction(signum, NULL, &old)
    if old.sa_handler != _on_signal and old.sa_handler != SIG_DFL and old.sa_handler != SIG_IGN:
        _signal.signal(signum, _signal.SIG_DFL)
    return 0


def ignore_signal(signum: int) -> None:
    """Let the kernel throw the signal away."""
    cdef sigaction_t installed
    _release_from_python(signum)
    installed.sa_handler = SIG_IGN
    sigemptyset(&installed.sa_mask)
    installed.sa_flags = 0
    c_sigaction(signum, &installed, NULL)


def unblock_signals() -> None:
    """Let all signals through: once the handlers of a child are in place."""
    cdef sigset_t everything
    sigfillset(&everything)
    sigprocmask(SIG_UNBLOCK, &everything, NULL)


def set_interrupt_handler(handler: Callable[[], None] | None) -> None:
    """Register what serves interrupts in this process (ProcessInterrupts): clears the flags it has handled."""
    global _handler
    _handler = handler


def set_timeout_hook(hook: Callable[[], None] | None) -> None:
    """What to call after SIGALRM, before the interrupt handler, even while interrupts are held off."""
    global _timeout_hook
    _timeout_hook = hook


cdef int process_interrupts() except -1:
    global InterruptPending, TimeoutPending
    if TimeoutPending and _timeout_hook is not None and CritSectionCount == 0:
        TimeoutPending = 0
        _timeout_hook()
    if not interrupts_can_be_processed():
        # A termination or cancel that is only held off must be found later: the flag stays.
        return 0
    InterruptPending = 0
    if _handler is not None:
        _handler()
    return 0


def check() -> None:
    """Serve pending interrupts from Python code (CHECK_FOR_INTERRUPTS)."""
    check_for_interrupts()


def pending() -> bool:
    """Whether anything is waiting to be served."""
    return InterruptPending != 0


def raise_interrupt() -> None:
    """Make the next check call the handler."""
    global InterruptPending
    InterruptPending = 1


_FLAGS = ("QueryCancel", "ProcDie", "ConfigReload", "ShutdownRequest", "ProcSignal", "CheckClientConnection",
          "ClientConnectionLost", "Timeout")


def take(name: str) -> bool:
    """Test and clear one pending flag."""
    global QueryCancelPending, ProcDiePending, ConfigReloadPending, ShutdownRequestPending, ProcSignalPending
    global CheckClientConnectionPending, ClientConnectionLost, TimeoutPending
    cdef bint was = peek(name)
    if name == "QueryCancel":
        QueryCancelPending = 0
    elif name == "ProcDie":
        ProcDiePending = 0
    elif name == "ConfigReload":
        ConfigReloadPending = 0
    elif name == "ShutdownRequest":
        ShutdownRequestPending = 0
    elif name == "ProcSignal":
        ProcSignalPending = 0
    elif name == "CheckClientConnection":
        CheckClientConnectionPending = 0
    elif name == "ClientConnectionLost":
        ClientConnectionLost = 0
    else:
        TimeoutPending = 0
    return was


cpdef bint peek(str name) except -1:
    """Test one pending flag."""
    if name == "QueryCancel":
        return QueryCancelPending != 0
    if name == "ProcDie":
        return ProcDiePending != 0
    if name == "ConfigReload":
        return ConfigReloadPending != 0
    if name == "ShutdownRequest":
        return ShutdownRequestPending != 0
    if name == "ProcSignal":
        return ProcSignalPending != 0
    if name == "CheckClientConnection":
        return CheckClientConnectionPending != 0
    if name == "ClientConnectionLost":
        return ClientConnectionLost != 0
    if name == "Timeout":
        return TimeoutPending != 0
    raise ValueError(name)


def set_flag(name: str) -> None:
    """Set a pending flag from Python, and see that it is served."""
    global QueryCancelPending, ProcDiePending, ConfigReloadPending, ShutdownRequestPending, ProcSignalPending
    global CheckClientConnectionPending, ClientConnectionLost, TimeoutPending, InterruptPending
    if name == "QueryCancel":
        QueryCancelPending = 1
    elif name == "ProcDie":
        ProcDiePending = 1
    elif name == "ConfigReload":
        ConfigReloadPending = 1
    elif name == "ShutdownRequest":
        ShutdownRequestPending = 1
    elif name == "ProcSignal":
        ProcSignalPending = 1
    elif name == "CheckClientConnection":
        CheckClientConnectionPending = 1
    elif name == "ClientConnectionLost":
        ClientConnectionLost = 1
    elif name == "Timeout":
        TimeoutPending = 1
    else:
        raise ValueError(name)
    InterruptPending = 1
    if set_latch_hook != NULL:
        set_latch_hook()


def reset_interrupts() -> None:
    """Forget everything pending and all holdoffs: in a fresh child."""
    global InterruptPending, InterruptHoldoffCount, QueryCancelHoldoffCount
    for name in _FLAGS:
        take(name)
    InterruptPending = 0
    InterruptHoldoffCount = 0
    QueryCancelHoldoffCount = 0


def holdoff_counts() -> tuple[int, int, int]:
    """(interrupt holdoff, cancel holdoff, critical sections)."""
    return InterruptHoldoffCount, QueryCancelHoldoffCount, CritSectionCount


def reset_holdoff() -> None:
    """After an error was caught at the top level: no holdoff survives it."""
    global InterruptHoldoffCount, QueryCancelHoldoffCount
    InterruptHoldoffCount = 0
    QueryCancelHoldoffCount = 0


cdef class HoldInterrupts:
    """``with HoldInterrupts():`` nothing is served inside."""

    def __enter__(self) -> HoldInterrupts:
        hold_interrupts()
        return self

    def __exit__(self, kind, value, traceback) -> None:
        if InterruptHoldoffCount > 0:
            resume_interrupts()
