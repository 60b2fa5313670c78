"""Crashes: what is replayed, where replay ends, what damage is a torn end and what is a hole."""

import os
import signal
import struct
import subprocess

import cluster
import pytest

from tusk.wal import _insert, _xlog, _xlogctl
from tusk.wal.controlfile import DBState, read_control_file


def _crash():
    os.kill(os.getpid(), signal.SIGKILL)


def _segment_of(directory, lsn):
    return directory / "pg_wal" / f"00000001{0:08X}{lsn // cluster.MB:08X}"


def _mark(directory):
    return struct.unpack_from("<Q", (directory / "pg_wal/flush_mark").read_bytes(), 8)[0]


def test_clean_stop_and_start(tmp_path):
    directory = cluster.make(tmp_path / "d")
    result = cluster.run(directory, lambda: cluster.write(100))
    assert result.status == 0
    assert read_control_file(directory).state == DBState.SHUTDOWNED
    result = cluster.run(directory)
    assert result.said("database system was shut down at 20")
    assert not result.said("automatic recovery")


def test_crash_and_recovery(tmp_path, oracle):
    directory = cluster.make(tmp_path / "d")

    def work():
        cluster.write(100)
        cluster.force_checkpoint()
        cluster.write(50)
        _crash()

    assert cluster.run(directory, work).status == -signal.SIGKILL
    assert read_control_file(directory).state == DBState.IN_PRODUCTION
    result = cluster.run(directory, lambda: cluster.write(10))
    assert result.status == 0, result.error
    for text in (
        "database system was interrupted; last known up at 20",
        "database system was not properly shut down; automatic recovery in progress",
        "redo starts at 0/",
        ": expected at least 24, got 0",
        "redo done at 0/",
        "checkpoint starting: end-of-recovery immediate wait",
    ):
        assert result.said(text), text
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START, "-r", "XLOG"],
                           capture_output=True, text=True).stdout
    assert shown.count("desc: NOOP") == 160


def test_nothing_flushed_is_lost_over_many_crashes(tmp_path):
    directory = cluster.make(tmp_path / "d")
    ends = []
    for i in range(5):

        def work(i=i):
            # A record longer than a segment's rest, and one that is never flushed.
            cluster.write(20, size=3000 * (i + 1))
            (directory / "end").write_text(str(_xlog.flush_lsn()))
            _insert.insert(0, cluster.NOOP, bytes(100000))
            _crash()

        assert cluster.run(directory, work).status == -signal.SIGKILL
        ends.append(int((directory / "end").read_text()))
    result = cluster.run(directory)
    assert result.status == 0, result.error
    assert ends == sorted(ends)
    assert read_control_file(directory).checkpoint >= ends[-1]


def _crashed_cluster(tmp_path):
    directory = cluster.make(tmp_path / "d")

    def work():
        cluster.write(30)
        cluster.force_checkpoint()
        first = cluster.write(60)
        cluster.write(60, size=200)
        (directory / "middle").write_text(str(first))
        _crash()

    cluster.run(directory, work)
    return directory, int((directory / "middle").read_text())


def test_damage_at_the_end_is_the_end(tmp_path):
    directory, _ = _crashed_cluster(tmp_path)
    mark = _mark(directory)
    with open(_segment_of(directory, mark), "r+b") as file:
        file.seek(mark % cluster.MB - 30)
        file.write(b"\xee" * 16)
    result = cluster.run(directory)
    assert result.status == 0, result.error
    assert result.said("incorrect resource manager data checksum in record at 0/")
    assert result.said("redo done at 0/")


@pytest.mark.parametrize("cut", [0, 10, 4096])
def test_a_cut_file_is_the_end(tmp_path, cut):
    directory, middle = _crashed_cluster(tmp_path)
    with open(_segment_of(directory, middle), "r+b") as file:
        file.truncate(middle % cluster.MB + cut)
    result = cluster.run(directory)
    assert result.status == 0, (result.error, result.messages)


@pytest.mark.parametrize("damage", [b"\xee" * 4, bytes(8192)], ids=["flipped bytes", "zeroed page"])
def test_damage_in_the_middle_is_a_panic(tmp_path, damage):
    directory, middle = _crashed_cluster(tmp_path)
    path = _segment_of(directory, middle)
    with open(path, "r+b") as file:
        file.seek(middle % cluster.MB + 64)
        file.write(damage)
    before = {name: (directory / "pg_wal" / name).read_bytes() for name in os.listdir(directory / "pg_wal")
              if len(name) == 24}
    for _ in range(2):
        result = cluster.run(directory)
        assert result.status == 1
        assert result.error.startswith("Panic: PANIC:  WAL is damaged at 0/"), result.error
        assert "but continues at 0/" in result.error
    assert all((directory / "pg_wal" / name).read_bytes() == content for name, content in before.items())


def test_damage_before_the_checkpoint_record_is_a_panic(tmp_path):
    directory = cluster.make(tmp_path / "d")

    def work():
        cluster.write(30)
        cluster.force_checkpoint()
        cluster.write(3)
        _crash()

    cluster.run(directory, work)
    control = read_control_file(directory)
    with open(_segment_of(directory, control.checkpoint), "r+b") as file:
        file.seek(control.checkpoint % cluster.MB + 30)
        file.write(b"\xee" * 8)
    result = cluster.run(directory)
    assert result.status == 1
    assert f"could not locate a valid checkpoint record at 0/{control.checkpoint:X}" in result.error


def test_unflushed_pages_in_any_order_are_the_end(tmp_path):
    """A power cut may keep a later page and lose an earlier one, if neither was synced."""
    directory, _ = _crashed_cluster(tmp_path)
    mark = _mark(directory)
    content = bytearray((directory / "pg_wal/flush_mark").read_bytes())
    assert len(content) == 24

    def more():
        _xlog.set_flush_mark(0)
        lsn = _insert.insert(0, cluster.NOOP, bytes(100))
        _xlog.flush(lsn)
        end = cluster.write(300)
        (directory / "pages").write_text(f"{lsn} {end}")
        # What the disk would have: pages written, the mark of the last sync before them.
        _xlog.set_flush_mark(lsn)
        _crash()

    cluster.run(directory, more)
    lsn, end = (int(word) for word in (directory / "pages").read_text().split())
    assert mark < lsn
    page = lsn - lsn % 8192 + 8192
    assert page + 8192 < end
    with open(_segment_of(directory, page), "r+b") as file:
        file.seek(page % cluster.MB)
        file.write(bytes(8192))
    result = cluster.run(directory)
    assert result.status == 0, result.error


def test_a_record_without_its_continuation_is_marked(tmp_path, oracle):
    directory = cluster.make(tmp_path / "d")

    def work():
        cluster.write(5)
        lsn = _insert.insert(0, cluster.NOOP, bytes(30000))
        _xlog.flush(lsn)
        (directory / "end").write_text(str(lsn))
        _crash()

    cluster.run(directory, work)
    end = int((directory / "end").read_text())
    page = end - end % 8192
    with open(_segment_of(directory, page), "r+b") as file:
        file.seek(page % cluster.MB)
        file.write(bytes(8192))
    result = cluster.run(directory, lambda: cluster.write(5))
    assert result.status == 0, result.error
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START],
                           capture_output=True, text=True)
    assert "desc: OVERWRITE_CONTRECORD lsn 0/" in shown.stdout
    assert shown.stdout.count("desc: NOOP") == 10

    def crash_again():
        cluster.write(5)
        _crash()

    # Replay across the mark.
    (directory / "global/pg_control").read_bytes()
    cluster.run(directory, crash_again)
    assert cluster.run(directory).status == 0


def test_segments_are_recycled_and_removed(tmp_path):
    directory = cluster.make(tmp_path / "d")

    def work():
        _xlogctl.configure(min_wal_size=2, max_wal_size=8)
        for _ in range(6):
            cluster.write(40, size=60000)
            cluster.force_checkpoint()
        return len([name for name in os.listdir("pg_wal") if len(name) == 24])

    result = cluster.run(directory, work)
    assert result.status == 0, result.error
    assert 2 <= result.value <= 8
    assert any(" recycled; write=" in message and " 0 recycled" not in message for message in result.messages)
    assert cluster.run(directory).status == 0


def test_full_page_writes_change_is_logged(tmp_path, oracle):
    directory = cluster.make(tmp_path / "d")

    def work():
        from tusk.wal import startup

        _xlogctl.configure(full_page_writes=False)
        startup.update_full_page_writes()
        cluster.write(1)

    assert cluster.run(directory, work).status == 0
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START],
                           capture_output=True, text=True).stdout
    assert "desc: FPW_CHANGE false" in shown
    assert "fpw false" in shown


@pytest.mark.parametrize("name", ["standby.signal", "recovery.signal", "backup_label"])
def test_other_kinds_of_recovery_are_refused(tmp_path, name):
    directory = cluster.make(tmp_path / "d")
    (directory / name).touch()
    result = cluster.run(directory)
    assert result.status == 1
    assert "0A000" in result.error and name in result.error


def test_unlogged_relations_are_emptied_after_a_crash(tmp_path):
    directory = cluster.make(tmp_path / "d")
    base = directory / "base/5"
    base.mkdir()
    for name in ("100", "100.1", "100_fsm"):
        (base / name).write_bytes(b"old")
    (base / "100_init").write_bytes(b"new")
    (base / "200").write_bytes(b"kept")
    cluster.run(directory, lambda: (cluster.write(1), _crash()))
    assert cluster.run(directory).status == 0
    assert {path.name: path.read_bytes() for path in base.iterdir()} == {
        "100": b"new", "100_init": b"new", "200": b"kept",
    }  # fmt: skip


def test_a_checkpoint_is_skipped_when_idle(tmp_path):
    from tusk.wal import checkpoint

    directory = cluster.make(tmp_path / "d")

    def work():
        cluster.write(1)
        cluster.force_checkpoint()
        flags = checkpoint.CHECKPOINT_IMMEDIATE
        return checkpoint.create_checkpoint(flags), checkpoint.create_checkpoint(flags)

    assert cluster.run(directory, work).value == (False, False)


def _load(seed):
    """Writers that note what was flushed, one of them making checkpoints; killed in the middle of it."""
    import random
    import time

    from tusk.memory import _process

    rng = random.Random(seed)
    pids = []
    for k in range(4):
        pid = os.fork()
        if pid == 0:
            _process.forget_process_after_fork()
            _process.init_process(0, 0)
            _xlog.after_fork()
            rng = random.Random(seed * 10 + k)
            with open(f"acknowledged.{seed}.{k}", "w", buffering=1) as log:
                for i in range(100000):
                    size = rng.choice([20, 200, 2000, 20000])
                    end = _insert.insert(0, cluster.NOOP, f"{seed}:{k}:{i}:".encode() + bytes(size))
                    if rng.random() < 0.7:
                        _xlog.flush(end)
                        log.write(f"{i}\n")
                    if k == 0 and i % 50 == 49:
                        cluster.force_checkpoint()
        pids.append(pid)
    time.sleep(rng.uniform(0.05, 0.25))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    _crash()


def _keep_all_wal():
    from tusk.config import Context, Source, set_option

    set_option("wal_keep_size", "1GB", Context.POSTMASTER, Source.ARGV)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_acknowledged_record_survives(tmp_path, seed):
    from tusk.wal._reader import WalReader

    directory = cluster.make(tmp_path / "d")
    for run in (seed, seed + 100):
        cluster.run(directory, lambda run=run: _load(run), before=_keep_all_wal)
        result = cluster.run(directory, stop=False, before=_keep_all_wal)
        assert result.status == 0, (result.error, result.messages)
        reader = WalReader(str(directory / "pg_wal"), cluster.MB, 1, cluster.SYSTEM_IDENTIFIER)
        reader.begin(cluster.MB + 40)
        seen = set()
        while (record := reader.read_record()) is not None:
            parts = record.data.split(b":", 3) if record.xl_info == cluster.NOOP else []
            if len(parts) == 4:
                seen.add(tuple(int(part) for part in parts[:3]))
        for k in range(4):
            acknowledged = (directory / f"acknowledged.{run}.{k}").read_text().split()
            missing = [i for i in acknowledged if (run, k, int(i)) not in seen]
            assert not missing, (k, len(acknowledged), missing[:5])
