"""Writing the process title: a few bytes over the memory that the kernel shows as the command line.

`setproctitle` makes room once (it moves the environment away); after that a change of title is a copy.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy, memset

cdef char *_start = NULL
cdef size_t _room = 0
cdef size_t _used = 0


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


def write_title(bytes title) -> bool:
    """Show a title; False where it does not fit or the place is not known."""
    global _used
    cdef size_t length = len(title)
    if _start == NULL or length + 1 > _room:
        return False
    memcpy(_start, <const char *> title, length)
    memset(_start + length, 0, (_used if _used > length + 1 else length + 1) - length)
    _used = length + 1
    return True
