"""A data directory and a small buffer pool for the tests of this folder."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "memory"))

LOCATOR = (1663, 5, 16384)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A fresh data directory as current directory, 64 buffers, this process in a slot."""
    from tusk.config import settings
    from tusk.memory import _interrupts, _lwlock, _process, _segment
    from tusk.storage import _buffer, _checkpoint, _faults, _freespace, _smgr, _sync, _visibilitymap  # noqa: F401

    (tmp_path / "base" / "5").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    _segment.destroy_segment()
    _segment.create_segment(SimpleNamespace(**{**vars(settings), "max_connections": 12, "shared_buffers": 64}))
    _process.forget_process_after_fork()
    _process.init_process(0, 0)
    _buffer.forget_pins_after_fork()
    _smgr.destroy_all()
    _sync.init_sync(False)
    yield _buffer
    _faults.heal()
    assert _buffer.pin_total() == 0, _buffer.leaked_pins()
    assert _lwlock.held_locks() == []
    _smgr.destroy_all()
    _sync.init_sync(False)
    _interrupts.reset_interrupts()
    _process.release_process()
    _segment.destroy_segment()
    os.chdir("/")


@pytest.fixture
def relation(pool):
    """A relation of 10 pages, each with its block number as item."""
    from tusk.storage import _page, _smgr

    _smgr.create(LOCATOR)
    assert pool.extend(LOCATOR, 0, 4) == [0, 1, 2, 3]
    assert pool.extend(LOCATOR, 0, 4) == [4, 5, 6, 7]
    assert pool.extend(LOCATOR, 0, 2) == [8, 9]
    for block in range(10):
        with pool.pinned(LOCATOR, block, lock="exclusive") as buf:
            page = bytearray(8192)
            _page.init(page)
            _page.add_item(page, b"block %d" % block)
            buf.page[:] = page
            buf.mark_dirty()
    return LOCATOR
