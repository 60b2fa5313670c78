"""Where this process posts its wait event."""

cdef uint32_t _private_word = 0
my_wait_event_info = &_private_word


def reset_wait_word() -> None:
    """Post to a private word again: when the process gives its slot back."""
    global my_wait_event_info
    my_wait_event_info = &_private_word


def post_wait(wait_event_info: int) -> None:
    """Post a wait event from Python (pgstat_report_wait_start)."""
    wait_start(wait_event_info)


def clear_wait() -> None:
    """The wait is over."""
    wait_end()


def current_wait() -> int:
    """What this process has posted."""
    return my_wait_event_info[0]
