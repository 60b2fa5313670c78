"""The process title: a few bytes over the memory that the kernel shows as the command line (utils/ps_status.h).

`setproctitle` makes room once (it moves the environment away); after that a change of title is a copy.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy, memset

from setproctitle import setproctitle

from tusk.config import on_assign, settings

cdef char *_start = NULL
cdef size_t _room = 0
cdef size_t _used = 0
cdef bytes _fixed = b""
cdef str _activity = ""
cdef str _suffix = ""
cdef bint _initialized = False
cdef bint _wanted = True


@on_assign("update_process_title")
def _(value):
    global _wanted
    _wanted = value


def find_title_area() -> bool:
    """Learn from /proc where the title is; call after setproctitle has been called in this program."""
    global _start, _room, _used
    with open("/proc/self/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    # proc_pid_stat(5): arg_start is field 48, arg_end 49, env_start 50, env_end 51; fields[0] is field 3.
    arg_start, arg_end, env_start, env_end = (int(fields[n - 3]) for n in (48, 49, 50, 51))
    if arg_start == 0 or arg_end <= arg_start:
        return False
    end = env_end if env_start == arg_end and env_end > arg_end else arg_end
    _start = <char *> <uintptr_t> arg_start
    _room = end - arg_start
    _used = _room
    return True


def init_title(fixed: str, activity: str = "") -> None:
    """Set the part that stays (``checkpointer``, ``user db host``) and show it."""
    global _fixed, _initialized
    prefix = f"postgres: {settings.cluster_name}: " if settings.cluster_name else "postgres: "
    _fixed = f"{prefix}{fixed} ".encode("utf-8", "replace")
    if not _initialized:
        setproctitle(_fixed.decode("utf-8", "replace") + activity)
        find_title_area()
    _initialized = True
    _show(activity, "")


cpdef int set_title(str activity) except -1:
    """Set the part that changes; nothing happens with ``update_process_title`` off."""
    if _initialized and _wanted and (activity is not _activity or _suffix):
        _show(activity, "")
    return 0


def set_title_suffix(suffix: str) -> None:
    """Append ``waiting`` and the like to the present activity; '' takes it away."""
    if _initialized and _wanted and suffix != _suffix:
        _show(_activity, suffix)


def current_activity() -> str:
    """The part that changes, as it stands (get_ps_display)."""
    return f"{_activity} {_suffix}" if _suffix else _activity


cdef int _show(str activity, str suffix) except -1:
    global _activity, _suffix, _used
    cdef bytes text
    cdef size_t length
    _activity = activity
    _suffix = suffix
    text = _fixed + activity.encode()
    if suffix:
        text += b" " + suffix.encode()
    length = len(text)
    if _start == NULL or length + 1 > _room:
        setproctitle(text.decode("utf-8", "replace"))
        return 0
    memcpy(_start, <const char *> text, length)
    memset(_start + length, 0, (_used if _used > length + 1 else length + 1) - length)
    _used = length + 1
    return 0
