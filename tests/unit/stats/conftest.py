"""A shared memory segment for the tests of this folder."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def store():
    """The shared statistics in a small segment, with this process in a slot."""
    from tusk.config import settings
    from tusk.memory import _interrupts, _latch, _lwlock, _process, _procsignal, _segment
    from tusk.stats import _pending, _progress, _store  # noqa: F401  declare their areas

    _segment.destroy_segment()
    _segment.create_segment(
        SimpleNamespace(
            **{**vars(settings), "max_connections": 12, "shared_buffers": 64, "max_connections_ceiling": 20}
        )
    )
    _process.forget_process_after_fork()
    _process.init_process(0, 1)
    _procsignal.init_proc_signal(b"k" * 32)
    _pending.begin_process(True)
    yield _store
    assert _lwlock.held_count() == 0
    _latch.stop_death_watch()
    _interrupts.reset_interrupts()
    _procsignal.exit_proc_signal()
    _process.release_process()
    _segment.destroy_segment()
