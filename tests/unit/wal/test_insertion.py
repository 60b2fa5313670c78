"""Records from several processes, read back by pg_waldump and by the reader; images; durability of flushes."""

import os
import random
import subprocess

import cluster
import pytest

from tusk.memory import _process
from tusk.wal import _insert, _xlog, _xlogctl, waldump
from tusk.wal._reader import WalReader

RECORDS = 400
PROCESSES = 4


def _writer(k):
    rng = random.Random(k)
    page = bytes([0] * 12 + [24, 0, 0, 16] + [0] * 8) + rng.randbytes(8168)
    for i in range(RECORDS):
        size = rng.choice([0, 30, 300, 5000, 30000]) if i % 10 == 0 else rng.randrange(200)
        lsn = _insert.insert(0, cluster.NOOP, f"{k}:{i}:".encode() + bytes([k]) * size)
        if i % 40 == 0:
            _insert.insert_with_pages(0, 0xB0, b"", [(1663, 5, 1000 + k, 0, i, page, 9, b"")])
        if i % 50 == 0:
            _xlog.flush(lsn)
    _xlog.flush(lsn)


def _several():
    pids = []
    for k in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            try:
                _process.forget_process_after_fork()
                _process.init_process(0, 0)
                _xlog.after_fork()
                _writer(k)
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def _tiny_buffers():
    from tusk.config import Context, Source, set_option

    set_option("wal_buffers", "4", Context.POSTMASTER, Source.ARGV)


@pytest.mark.parametrize("before", [None, _tiny_buffers], ids=["default", "four buffers"])
def test_concurrent_insertion(tmp_path, oracle, before):
    directory = cluster.make(tmp_path / "d")
    result = cluster.run(directory, _several, stop=False, before=before)
    assert (result.status, result.value) == (0, [0] * PROCESSES), result.error
    reader = WalReader(str(directory / "pg_wal"), cluster.MB, 1, cluster.SYSTEM_IDENTIFIER)
    reader.begin(cluster.MB + 40)
    seen = {k: [] for k in range(PROCESSES)}
    lines = []
    while (record := reader.read_record()) is not None:
        lines.append(waldump.record_line(record))
        parts = record.data.split(b":", 2) if record.xl_info == cluster.NOOP else []
        if len(parts) == 3:
            k = int(parts[0])
            assert set(parts[2]) <= {k}
            seen[k].append(int(parts[1]))
    assert all(numbers == list(range(RECORDS)) for numbers in seen.values())
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START],
                           capture_output=True, text=True)
    assert "invalid record length" in shown.stderr and shown.stderr.count("error") == 2
    assert shown.stdout == "".join(lines)


@pytest.mark.parametrize("method", ["off", "pglz", "lz4", "zstd"])
def test_full_page_images(tmp_path, oracle, method):
    page = bytearray(8192)
    page[12:16] = (100).to_bytes(2, "little") + (7000).to_bytes(2, "little")
    page[24:100] = b"x" * 76
    page[7000:] = b"tuple data " * 108 + b"1234"

    def work():
        _xlogctl.configure(wal_compression=method)
        return _insert.insert_with_pages(
            0, 0xB0, b"", [(1663, 5, 999, 0, 3, bytes(page), 9, b""), (1663, 5, 999, 1, 4, bytes(page), 1, b"")]
        )

    directory = cluster.make(tmp_path / "d")
    assert cluster.run(directory, work).status == 0
    reader = WalReader(str(directory / "pg_wal"), cluster.MB)
    reader.begin(cluster.MB + 40)
    while (record := reader.read_record()).xl_info != 0xB0:
        pass
    wanted = bytes(page[:100]) + bytes(6900) + bytes(page[7000:])
    assert record.image(0) == wanted
    assert record.image(1) == bytes(page)
    assert record.block(0)["hole_length"] == 6900
    images = tmp_path / "images"
    subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START, "-q", "--save-fullpage",
                    images], capture_output=True)
    if method in ("off", "pglz"):           # the oracle is built without the other two
        assert sorted(path.read_bytes() for path in images.iterdir())[0][24:] == wanted[24:]


def test_switching_to_the_next_segment(tmp_path, oracle):
    def work():
        cluster.write(3)
        first = _insert.switch_segment()
        again = _insert.switch_segment()    # nothing to do at a segment's start
        cluster.write(3)
        return first, again

    directory = cluster.make(tmp_path / "d")
    result = cluster.run(directory, work, stop=False)
    assert result.status == 0, result.error
    first, again = result.value
    assert first % cluster.MB != 0 and again == 2 * cluster.MB
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START],
                           capture_output=True, text=True).stdout
    assert shown.count("desc: SWITCH") == 1 and shown.count("desc: NOOP") == 6


def test_sync_methods(tmp_path):
    def work():
        for method in ("fsync", "fdatasync", "open_sync", "open_datasync"):
            _xlogctl.configure(wal_sync_method=method)
            end = cluster.write(5)
            assert _xlog.flush_lsn() >= end
        return end

    directory = cluster.make(tmp_path / "d")
    assert cluster.run(directory, work).status == 0


def test_asynchronous_commits_are_flushed_by_the_background_flush(tmp_path):
    def work():
        end = _insert.insert(0, cluster.NOOP, b"x" * 20000)
        before = _xlog.flush_lsn()
        _xlog.note_async_commit(end)
        while _xlog.background_flush():
            pass
        return before < end, _xlog.flush_lsn() >= end

    directory = cluster.make(tmp_path / "d")
    assert cluster.run(directory, work).value == (True, True)
