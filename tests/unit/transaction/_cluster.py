"""A cluster without SQL for the tests of this folder: WAL, logs and shared memory, in forked processes.

`in_cluster` forks a child that makes (or recovers) a data directory, runs a function in it and stops the
cluster, cleanly or as if it had crashed. The function may start further processes with
`Backend`, each with a slot of its own.
"""

import os
import pickle
import signal
import struct
import traceback
from pathlib import Path

DIRECTORIES = (
    "base/5", "global", "pg_wal", "pg_xact", "pg_subtrans", "pg_multixact/offsets", "pg_multixact/members",
    "pg_commit_ts", "pg_tblspc",
)  # fmt: skip
OPTIONS = {
    "shared_buffers": "2MB",
    "max_connections": "20",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "autovacuum_worker_slots": "1",
    "max_wal_senders": "1",
    "max_worker_processes": "1",
    "deadlock_timeout": "20ms",
    "wal_level": "replica",
}
DATABASE = 5


def make_directory(path: Path, **counters) -> None:
    """What initdb would make of the parts that transactions need."""
    from tusk.wal.bootstrap import bootstrap_wal
    from tusk.wal.controlfile import CheckPoint

    for name in DIRECTORIES:
        (path / name).mkdir(parents=True)
    bootstrap_wal(path, 7000000000000000001, checkpoint=CheckPoint(**{"next_oid": 16384, **counters}))


def start(path: Path, options: dict[str, str], fresh: bool) -> None:
    """Shared memory, a slot, recovery."""
    from tusk.config import Context, Source, set_option, settings
    from tusk.memory import _process, _segment
    from tusk.transaction import _state, _xact, recovery  # noqa: F401
    from tusk.wal import _control, _xlog, startup

    os.chdir(path)
    for name, value in {**OPTIONS, **options}.items():
        set_option(name, value, Context.POSTMASTER, Source.ARGV)
    if _segment.segment_exists():
        _segment.destroy_segment()
    control = _control.load()
    _segment.create_segment(settings)
    _xlog.set_system_identifier(control.system_identifier)
    _process.forget_process_after_fork()
    enter()
    if fresh:
        recovery.bootstrap()
    startup.startup()


def enter() -> None:
    """Take a slot and join the process array."""
    from tusk.memory import _process
    from tusk.transaction import _procarray, _state

    _process.init_process(0, 0)
    _process.set_my_identity(DATABASE, 10)
    _state.set_my_database(DATABASE, 1663)
    _procarray.add_my_process()


def in_cluster(path: Path, function, *args, options=None, crash=False, timeout_s=60, **counters):
    """Run ``function(*args)`` in a cluster at ``path`` (made if it is not there) and return what it returns."""
    fresh = not (path / "global").exists()
    if fresh:
        make_directory(path, **counters)
    return _forked(lambda: _run(path, function, args, options or {}, fresh, crash), timeout_s)


def _run(path, function, args, options, fresh, crash):
    from tusk.wal import startup

    start(path, options, fresh)
    result = function(*args)
    if not crash:
        startup.shutdown()
    return result


def _forked(function, timeout_s):
    child = Process(function, timeout_s)
    return child.result()


class Process:
    """A forked process whose result or error comes back through a pipe."""

    def __init__(self, function, timeout_s=60):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            outcome = (False, "died")
            try:
                signal.alarm(timeout_s)
                outcome = (True, function())
            except BaseException as error:
                outcome = (False, traceback.format_exc(), getattr(error, "sqlstate", None))
            finally:
                data = pickle.dumps(outcome)
                os.write(writer, struct.pack("<I", len(data)))
                while data:
                    data = data[os.write(writer, data):]
                os._exit(0)
        os.close(writer)

    def result(self):
        """What the function returned; AssertionError with the traceback if it failed."""
        data = b""
        while chunk := os.read(self.reader, 65536):
            data += chunk
        os.close(self.reader)
        os.waitpid(self.pid, 0)
        assert data, "the process died without a result"
        outcome = pickle.loads(data[4:])
        assert outcome[0], outcome[1]
        return outcome[1]


class Backend:
    """Another process of the cluster that does one call after the other: ``call`` waits, ``send`` does not."""

    def __init__(self):
        self.to_parent, child_writes = os.pipe()
        child_reads, self.to_child = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.to_parent)
            os.close(self.to_child)
            self._serve(child_reads, child_writes)
        os.close(child_reads)
        os.close(child_writes)

    def _serve(self, reader, writer):
        from tusk.memory import _interrupts, _process
        from tusk.transaction import _procarray
        from tusk.wal import _xlog

        try:
            signal.alarm(60)
            _process.forget_process_after_fork()
            _interrupts.reset_interrupts()
            _xlog.after_fork()
            enter()
            while function := self._next(reader):
                try:
                    reply = (True, function[0](*function[1]))
                except BaseException as error:
                    reply = (False, error if hasattr(error, "sqlstate") else RuntimeError(traceback.format_exc()))
                data = pickle.dumps(reply)
                os.write(writer, struct.pack("<I", len(data)) + data)
            _procarray.remove_my_process()
            _process.release_process()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    @staticmethod
    def _next(reader):
        head = os.read(reader, 4)
        if not head:
            return None
        return pickle.loads(os.read(reader, struct.unpack("<I", head)[0]))

    def send(self, function, *args):
        """Start a call; ``function`` must be importable."""
        data = pickle.dumps((function, args))
        os.write(self.to_child, struct.pack("<I", len(data)) + data)

    def receive(self):
        """Wait for a call's end; raises what it raised."""
        (length,) = struct.unpack("<I", os.read(self.to_parent, 4))
        ok, value = pickle.loads(os.read(self.to_parent, length))
        if not ok:
            raise value
        return value

    def call(self, function, *args):
        self.send(function, *args)
        return self.receive()

    def close(self):
        # Later children inherited the pipe, so closing it is not enough to say that this is the end.
        data = pickle.dumps(None)
        os.write(self.to_child, struct.pack("<I", len(data)) + data)
        os.close(self.to_child)
        os.close(self.to_parent)
        os.waitpid(self.pid, 0)
