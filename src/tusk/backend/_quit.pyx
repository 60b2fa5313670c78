"""SIGQUIT in a backend: a last word to the client, and out, without touching anything else (quickdie).

The handler runs in signal context: it sends one prepared message without waiting and calls _exit(2). Which of the
three messages it is, the postmaster has noted in shared memory.
"""

from posix.unistd cimport _exit

from tusk.memory._procsignal cimport quit_reason_in_signal_handler

cdef extern from "<signal.h>" nogil:
    ctypedef void (*handler_t)(int) noexcept nogil
    ctypedef struct sigset_t:
        pass
    cdef struct sigaction_t "sigaction":
        handler_t sa_handler
        sigset_t sa_mask
        int sa_flags
    int c_sigaction "sigaction"(int signum, const sigaction_t *action, sigaction_t *old)
    int sigfillset(sigset_t *signals)
    enum:
        SIGQUIT

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int fd, const void *data, size_t length, int flags)
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL

cdef int _socket = -1
cdef const char *_text[3]
cdef size_t _length[3]
_keep = []


cdef void _on_quit(int signum) noexcept nogil:
    cdef int reason = quit_reason_in_signal_handler()
    if reason < 0 or reason > 2:
        reason = 0
    if _socket >= 0:
        send(_socket, _text[reason], _length[reason], MSG_DONTWAIT | MSG_NOSIGNAL)
    _exit(2)


def install_quit(socket_fd: int, messages: list[bytes]) -> None:
    """Let SIGQUIT send messages[reason] (unexpected, crash, immediate stop) on the socket and exit with status 2."""
    global _socket
    cdef sigaction_t action
    cdef int i
    cdef bytes message
    _keep[:] = messages         # the handler reads their bytes
    for i in range(3):
        message = messages[i]
        _text[i] = <const char *> message
        _length[i] = len(message)
    _socket = socket_fd
    action.sa_handler = _on_quit
    sigfillset(&action.sa_mask)
    action.sa_flags = 0
    c_sigaction(SIGQUIT, &action, NULL)
