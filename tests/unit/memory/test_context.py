"""Memory contexts: accounting, trees, callbacks."""

import ctypes

import pytest

from tusk.memory import _context
from tusk.memory._context import MemoryContext


@pytest.fixture
def context():
    with MemoryContext("test") as made:
        yield made


def test_chunks_are_aligned_and_distinct(context):
    addresses = [context.allocate_address(n) for n in (1, 16, 17, 100, 9000, 0, 5)]
    assert all(address % 16 == 0 for address in addresses)
    assert len(set(addresses)) == len(addresses)
    for address in addresses[:5]:
        ctypes.memset(address, 0xAB, 1)


def test_accounting(context):
    assert context.total_bytes() == 0
    context.allocate_address(100)
    assert context.total_bytes() == 8192
    assert context.total_nblocks == 1
    before = context.free_bytes
    context.allocate_address(100)
    assert before - context.free_bytes == 112
    context.allocate_address(1_000_000)
    assert context.total_nblocks == 2
    assert context.total_bytes() >= 1_008_192
    child = MemoryContext("child", parent=context)
    child.allocate_address(10)
    assert context.total_bytes(True) == context.total_bytes() + 8192
    context.reset()
    assert child.is_deleted
    assert context.total_bytes() == 8192        # the first block stays


def test_blocks_double(context):
    for _ in range(1000):
        context.allocate_address(1000)
    assert context.total_nblocks < 10


def test_callbacks_run_newest_first_and_objects_are_dropped(context):
    events = []

    class Held:
        def __del__(self):
            events.append("dropped")

    child = MemoryContext("child", parent=context)
    child.on_reset(lambda: events.append("child"))
    context.on_reset(lambda: events.append(1))
    context.on_reset(lambda: events.append(2))
    context.hold(Held())
    context.reset()
    assert events == ["child", 2, 1, "dropped"]
    context.reset()
    assert len(events) == 4


def test_rows_and_log_lines(context):
    context.set_ident("what for")
    MemoryContext("inner", parent=context).allocate_address(10)
    rows = _context.context_rows()
    mine = next(row for row in rows if row.name == "test")
    inner = next(row for row in rows if row.name == "inner")
    assert rows[0].name == "TopMemoryContext"
    assert mine.ident == "what for"
    assert inner.level == 3
    assert inner.path[:2] == mine.path
    assert inner.used_bytes + inner.free_bytes == inner.total_bytes == 8192
    lines = list(_context.log_lines())
    assert any(line.startswith("level: 3; inner: 8192 total in 1 blocks; ") for line in lines)
    assert lines[-1].startswith("Grand total: ")
