"""Forked children for tests of shared memory: each runs a function in a slot of its own."""

import os
import signal
import traceback

from tusk.memory import _interrupts, _latch, _process, _procsignal


def run_children(functions, timeout_s=30):
    """Fork one child per function, each with a process slot; all must exit with 0."""
    pids = []
    for function in functions:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.alarm(timeout_s)
                _process.forget_process_after_fork()
                _interrupts.reset_interrupts()
                _latch.start_death_watch_in_child()
                _process.init_process(0, 0)
                _procsignal.init_proc_signal(b"")
                function()
                _procsignal.exit_proc_signal()
                _process.release_process()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        pids.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert statuses == [0] * len(functions)
