"""Print nanoseconds of b-tree operations: ``python -m tusk.access.nbtree.bench_nbtree``.

In a throw-away cluster without catalogs. Insertions are WAL-logged; fsync is off.
"""

import os
import tempfile
from pathlib import Path

from tusk.access import registry  # noqa: F401  # declares shared memory
from tusk.access._index import index_build_empty
from tusk.access._relation import Relation
from tusk.access._tupdesc import AttributeRow, TupleDesc
from tusk.access.nbtree import _bench, _check
from tusk.config import Context, Source, set_option, settings
from tusk.memory import _process, _segment
from tusk.storage import _smgr
from tusk.transaction import _procarray, _state, _xact, recovery
from tusk.wal import _control, _xlog, startup
from tusk.wal.bootstrap import bootstrap_wal
from tusk.wal.controlfile import CheckPoint

ENTRIES = 1_000_000
DIRECTORIES = ("base/5", "global", "pg_wal", "pg_xact", "pg_subtrans", "pg_multixact/offsets",
               "pg_multixact/members", "pg_commit_ts", "pg_tblspc")


def start(directory: Path) -> None:
    """A cluster without catalogs, and this process in it."""
    for name in DIRECTORIES:
        (directory / name).mkdir(parents=True)
    bootstrap_wal(directory, 7000000000000000001, checkpoint=CheckPoint(next_oid=16384))
    os.chdir(directory)
    for name, value in {"shared_buffers": "256MB", "max_connections": "10", "fsync": "off",
                        "max_wal_size": "4GB"}.items():
        set_option(name, value, Context.POSTMASTER, Source.ARGV)
    control = _control.load()
    _segment.create_segment(settings)
    _xlog.set_system_identifier(control.system_identifier)
    _process.forget_process_after_fork()
    _process.init_process(0, 0)
    _process.set_my_identity(5, 10)
    _state.set_my_database(5, 1663)
    _procarray.add_my_process()
    recovery.bootstrap()
    startup.startup()


def new_index(oid: int, heap: Relation) -> Relation:
    """An empty index over one int4."""
    rel = Relation(oid, (1663, 5, oid), f"i{oid}", TupleDesc([AttributeRow("a", 23, 4, True, "i")]), relkind="i")
    rel.set_index_keys([(1976, 23, 0, 0, "btint4cmp")], [1], heap_oid=heap.rd_id)
    _smgr.create(rel.locator)
    index_build_empty(rel)
    return rel


def main() -> None:
    """Run everything once."""
    heap = Relation(16384, (1663, 5, 16384), "t", TupleDesc([AttributeRow("a", 23, 4, True, "i")]))
    _smgr.create(heap.locator)
    _xact.start_command()
    ascending, scattered = new_index(16390, heap), new_index(16391, heap)
    print(f"insert, ascending keys       {_bench.time_inserts(ascending, heap, ENTRIES, 1):8.0f} ns")
    print(f"insert, scattered keys       {_bench.time_inserts(scattered, heap, ENTRIES, 7919):8.0f} ns")
    for index, what in ((ascending, "ascending"), (scattered, "scattered")):
        counts = _check.check_index(index)
        print(f"  {what}: {counts['levels']} levels, {counts['leaves']} leaves, {counts['blocks']} blocks")
        best = min(_bench.time_lookups(index, heap, ENTRIES, 200_000) for _ in range(3))
        print(f"  point lookup               {best:8.0f} ns")
        print(f"  full scan, each entry      {min(_bench.time_scan(index, heap, False) for _ in range(3)):8.1f} ns")
        print(f"  full scan backwards        {min(_bench.time_scan(index, heap, True) for _ in range(3)):8.1f} ns")
    _xact.commit_command()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        start(Path(directory))
        main()
        os.chdir("/")
