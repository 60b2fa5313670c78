"""A process that forks for its parent, and a socket handed from one process to whichever is free to take it.

`fork_on_requests` makes children of our parent: the session template forks backends that belong to the postmaster, which
reaps them and learns how they ended as if it had forked them itself.
"""

from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t

cdef extern from *:
    """
    #include <errno.h>
    #include <sched.h>
    #include <signal.h>
    #include <string.h>
    #include <sys/prctl.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    static long tusk_fork_sibling(void) {
        int *tid = NULL;
        unsigned long flags = CLONE_PARENT | SIGCHLD;
    #ifdef PR_GET_TID_ADDRESS
        if (prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0) == 0 && tid != NULL)
            flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    #endif
    #if defined(__x86_64__)
        return syscall(SYS_clone, flags, 0, 0, tid, 0);
    #else
        return syscall(SYS_clone, flags, 0, 0, 0, tid);
    #endif
    }

    static void tusk_die_with_parent(void) {
        prctl(PR_SET_PDEATHSIG, SIGQUIT, 0, 0, 0);
    }

    static double tusk_monotonic(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
    }

    /* In C because of what it does not touch: a page written here is copied, and a huge page split, for each fork. */
    static int tusk_fork_on_requests(int channel, int pending, const uint32_t *version, uint32_t known,
                                     const uint64_t *place, int64_t position, double not_before) {
        char request, answer[1 + sizeof(int)] = {'F'};
        for (;;) {
            if (!pending) {
                ssize_t received = recv(channel, &request, 1, 0);
                if (received < 0 && errno == EINTR)
                    continue;
                if (received <= 0)
                    return -1;
            }
            if (!pending && ((position >= 0 && __atomic_load_n(place, __ATOMIC_ACQUIRE) != (uint64_t) position) ||
                (__atomic_load_n(version, __ATOMIC_ACQUIRE) != known && tusk_monotonic() >= not_before)))
                return 1;
            pending = 0;
            int pid = (int) tusk_fork_sibling();
            if (pid == 0)
                return 0;
            memcpy(answer + 1, &pid, sizeof(pid));
            if (send(channel, answer, sizeof(answer), MSG_NOSIGNAL) < 0)
                return -1;
        }
    }

    static ssize_t tusk_send_fd(int channel, const void *data, size_t size, int fd) {
        char room[CMSG_SPACE(sizeof(int))];
        struct iovec part = {(void *) data, size};
        struct msghdr message = {0};
        struct cmsghdr *control;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = room;
        message.msg_controllen = sizeof(room);
        memset(room, 0, sizeof(room));
        control = CMSG_FIRSTHDR(&message);
        control->cmsg_level = SOL_SOCKET;
        control->cmsg_type = SCM_RIGHTS;
        control->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(control), &fd, sizeof(int));
        return sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    static ssize_t tusk_receive_fd(int channel, void *data, size_t size, int *fd) {
        char room[CMSG_SPACE(sizeof(int))];
        struct iovec part = {data, size};
        struct msghdr message = {0};
        struct cmsghdr *control;
        ssize_t received;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = room;
        message.msg_controllen = sizeof(room);
        received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
        *fd = -1;
        if (received > 0) {
            control = CMSG_FIRSTHDR(&message);
            if (control != NULL && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS)
                memcpy(fd, CMSG_DATA(control), sizeof(int));
        }
        return received;
    }
    """
    void tusk_die_with_parent() nogil
    int tusk_fork_on_requests(int channel, int pending, const uint32_t *version, uint32_t known,
                              const uint64_t *place, int64_t position, double not_before) nogil
    ssize_t tusk_send_fd(int channel, const void *data, size_t size, int fd) nogil
    ssize_t tusk_receive_fd(int channel, void *data, size_t size, int *fd) nogil


FORKED, CLOSED, DUE = 0, -1, 1


def fork_on_requests(int channel, bint pending, uintptr_t version, uint32_t known, uintptr_t place, int64_t position,
                     double not_before) -> int:
    """Fork a child of this process's parent for each byte on the channel and answer with its pid, -1 where none can be had.

    Returns FORKED in each child; CLOSED at the end of the channel; and DUE, with the request still to be served
    (``pending`` in the next call), when the counter at ``version`` is not ``known`` any more and it is ``not_before``, or the
    one at ``place`` is not ``position`` (if that is not negative).

    The interpreter is not told of the fork: this process has one thread, so there is nothing to set right in the child.
    """
    cdef int result
    with nogil:
        result = tusk_fork_on_requests(channel, pending, <const uint32_t *> version, known, <const uint64_t *> place,
                                       position, not_before)
    return result


def die_with_parent() -> None:
    """Have the kernel send SIGQUIT to this process when its parent ends: a busy process looks at no pipe."""
    tusk_die_with_parent()


def send_fd(int channel, bytes data, int fd) -> bool:
    """Send a message with an open file without waiting; False where there is no room for it now."""
    while tusk_send_fd(channel, <const char *> data, len(data), fd) < 0:
        if errno == EAGAIN:
            return False
        if errno != EINTR:
            raise OSError(errno, "could not send a file descriptor")
    return True


def receive_fd(int channel) -> tuple[bytes, int] | None:
    """Wait for a message with an open file; None when nobody can send any more. Signals are served by their handlers."""
    cdef char data[256]
    cdef int fd
    cdef ssize_t received
    while True:
        with nogil:
            received = tusk_receive_fd(channel, data, sizeof(data), &fd)
        if received > 0:
            return data[:received], fd
        if received == 0:
            return None
        if errno != EINTR:
            raise OSError(errno, "could not receive a file descriptor")
