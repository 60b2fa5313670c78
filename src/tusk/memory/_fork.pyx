"""A process that forks for its parent, and a socket handed from one process to whichever is free to take it.

`fork_sibling` makes a child of our parent: the session template forks backends that belong to the postmaster, which
reaps them and learns how they ended as if it had forked them itself.
"""

from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from *:
    """
    #include <sched.h>
    #include <signal.h>
    #include <string.h>
    #include <sys/prctl.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
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
    long tusk_fork_sibling() nogil
    void tusk_die_with_parent() nogil
    ssize_t tusk_send_fd(int channel, const void *data, size_t size, int fd) nogil
    ssize_t tusk_receive_fd(int channel, void *data, size_t size, int *fd) nogil


def fork_sibling() -> int:
    """Fork a child of this process's parent; 0 in the child, else its pid.

    The interpreter is not told: this process has one thread, so there is nothing to set right in the child, and what is
    not written to stays shared. Signals should be blocked.
    """
    cdef long pid = tusk_fork_sibling()
    if pid < 0:
        raise OSError(errno, "could not fork")
    return pid


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
