"""A shared memory segment for the tests of this folder."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def segment():
    """A small segment, with this process in a slot."""
    from tusk.config import settings
    from tusk.memory import _interrupts, _latch, _lwlock, _process, _procsignal, _segment

    _segment.destroy_segment()
    _segment.create_segment(
        SimpleNamespace(
            **{**vars(settings), "max_connections": 12, "shared_buffers": 64, "max_connections_ceiling": 20}
        )
    )
    _process.forget_process_after_fork()
    _process.init_process(0, 0)
    _procsignal.init_proc_signal(b"k" * 32)
    yield _segment
    assert _lwlock.held_count() == 0
    _latch.stop_death_watch()
    _interrupts.reset_interrupts()
    _procsignal.exit_proc_signal()
    _process.release_process()
    _segment.destroy_segment()
