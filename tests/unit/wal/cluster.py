"""A data directory with nothing but WAL and a control file, and children that start on it."""

import os
import pickle
import sys
import traceback
from pathlib import Path

from tusk.config import settings
from tusk.memory import _process, _segment
from tusk.wal import _control, _insert, _xlog, checkpoint, hooks, startup
from tusk.wal.bootstrap import bootstrap_wal

NOOP = 0x20
SYSTEM_IDENTIFIER = 7700000000000000001
MB = 1024 * 1024
START = f"0/{MB + 40:X}"

_values = None


def _get_values(shutdown):
    return _values


def _set_values(values):
    global _values
    _values = values


def make(path: Path) -> Path:
    """A cluster as initdb leaves it, with segments of 1 MB."""
    for name in ("global", "pg_wal", "base", "pg_tblspc"):
        (path / name).mkdir(parents=True)
    bootstrap_wal(path, SYSTEM_IDENTIFIER, segment_size=MB, now=1_700_000_000, sync=False)
    return path


class Result:
    """How a child ended: exit status or -signal, what its function returned, what it said."""

    def __init__(self, status, value, messages, error):
        self.status = status
        self.value = value
        self.messages = messages
        self.error = error

    def said(self, text):
        return any(text in message for message in self.messages)


def run(path: Path, work=None, *, stop=True, before=None) -> Result:
    """Fork a child that starts on the cluster, calls ``work()`` and stops cleanly, or just ends with stop=False."""
    outcome = path / "outcome"
    outcome.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _child(path, work, stop, before, outcome)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    value, messages, error = pickle.loads(outcome.read_bytes()) if outcome.exists() else (None, [], None)
    return Result(status, value, messages, error)


def _child(path, work, stop, before, outcome):
    from tusk.errors import set_report_sink

    messages = []
    value = error = None
    status = 1
    try:
        set_report_sink(lambda message: messages.append(message.message))
        os.chdir(path)
        if before is not None:
            before()
        hooks._get_values, hooks._set_values = _get_values, _set_values
        if _segment.segment_exists():
            _segment.destroy_segment()
        _control.load()
        _segment.create_segment(settings)
        _process.forget_process_after_fork()
        _process.init_process(0, 0)
        startup.startup()
        value = work() if work is not None else None
        if stop:
            startup.shutdown()
        status = 0
    except BaseException as problem:
        error = f"{type(problem).__name__}: {problem}"
        if not hasattr(problem, "sqlstate"):
            traceback.print_exc()
    outcome.write_bytes(pickle.dumps((value, messages, error)))
    sys.stderr.flush()
    os._exit(status)


def write(count: int, size: int = 40) -> int:
    """Insert and flush records; the end of the last."""
    end = 0
    for i in range(count):
        end = _insert.insert(0, NOOP, i.to_bytes(4, "little") + bytes(size))
    _xlog.flush(end)
    return end


def force_checkpoint() -> None:
    checkpoint.create_checkpoint(checkpoint.CHECKPOINT_IMMEDIATE | checkpoint.CHECKPOINT_FORCE)
