"""The critical-section counter of this process."""


def critical_count() -> int:
    """How many critical sections this process is in; an error while it is not 0 is a PANIC."""
    return CritSectionCount


def reset_critical() -> None:
    """Forget open critical sections: for the exit path of a PANIC only."""
    global CritSectionCount
    CritSectionCount = 0


cdef class CriticalSection:
    """``with CriticalSection():`` for changes made from Python; an exception leaves the count raised."""

    def __enter__(self) -> CriticalSection:
        critical_start()
        return self

    def __exit__(self, kind, value, traceback) -> None:
        # An error inside must find the count non-zero at the top level, which makes it a PANIC.
        if kind is None:
            critical_end()
