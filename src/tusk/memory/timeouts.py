"""Timeouts of this process, multiplexed on one interval timer (utils/timeout.h).

SIGALRM only notes that something is due; the next `check_for_interrupts` calls the handlers, also while interrupts are
held off. So a handler sets flags (`_interrupts.set_flag("QueryCancel")`) and does not raise.
"""

import signal
import time
from collections.abc import Callable

from tusk.memory import _interrupts

# In the order of firing when several are due at once.
NAMES = (
    "startup packet",
    "deadlock",
    "lock",
    "statement",
    "standby deadlock",
    "standby",
    "standby lock",
    "idle in transaction session",
    "transaction",
    "idle session",
    "idle stats update",
    "client connection check",
    "startup progress",
)

_handlers: dict[str, Callable[[], None]] = {}
_active: dict[str, float] = {}  # deadlines on the monotonic clock
_fired: set[str] = set()
_alarm_at = 0.0  # 0: the timer is off


def install() -> None:
    """Take SIGALRM in this process, and forget inherited timeouts (InitializeTimeouts)."""
    global _alarm_at
    _active.clear()
    _fired.clear()
    _alarm_at = 0.0
    signal.setitimer(signal.ITIMER_REAL, 0)
    _interrupts.install_signal(signal.SIGALRM, "timeout")
    _interrupts.set_timeout_hook(process_timeouts)


def register(name: str, handler: Callable[[], None]) -> None:
    """Say what happens when this timeout fires (RegisterTimeout)."""
    if name not in NAMES:
        raise ValueError(name)
    _handlers[name] = handler


def enable_after(name: str, delay_ms: int) -> None:
    """Fire in so many milliseconds (enable_timeout_after); a pending one of this name is replaced."""
    _fired.discard(name)
    _active[name] = time.monotonic() + delay_ms / 1000
    _set_alarm()


def disable(name: str, keep_indicator: bool = False) -> None:
    """Do not fire any more (disable_timeout)."""
    # The timer may go off for nothing later: cheaper than a system call for each statement.
    _active.pop(name, None)
    if not keep_indicator:
        _fired.discard(name)


def disable_all(keep_indicators: bool = False) -> None:
    """Do not fire anything any more (disable_all_timeouts)."""
    _active.clear()
    if not keep_indicators:
        _fired.clear()


def fired(name: str, reset: bool = False) -> bool:
    """Whether it has fired since it was enabled (get_timeout_indicator)."""
    was = name in _fired
    if reset:
        _fired.discard(name)
    return was


def is_active(name: str) -> bool:
    """Whether it is enabled and has not fired (get_timeout_active)."""
    return name in _active


def process_timeouts() -> None:
    """Call the handlers of all that is due; the interrupt machinery calls this after SIGALRM."""
    global _alarm_at
    _alarm_at = 0.0
    now = time.monotonic()
    for name in NAMES:
        if _active.get(name, now + 1) <= now:
            del _active[name]
            _fired.add(name)
            _handlers[name]()
    _set_alarm()


def _set_alarm() -> None:
    global _alarm_at
    if not _active:
        return
    first = min(_active.values())
    if _alarm_at == 0.0 or first < _alarm_at:
        _alarm_at = first
        signal.setitimer(signal.ITIMER_REAL, max(first - time.monotonic(), 0.000001))
