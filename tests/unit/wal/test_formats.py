"""Sizes, checksums, the control file and the first segment, against PostgreSQL's own programs."""

import os
import random
import subprocess

import cluster
import pytest

from tusk.errors import Fatal
from tusk.wal import _pglz
from tusk.wal._crc32c import crc32c
from tusk.wal.bootstrap import checkpoint_record
from tusk.wal.controldata import report_control_file
from tusk.wal.controlfile import (
    CHECKPOINT_FORMAT,
    CONTROL_SIZE,
    CheckPoint,
    ControlFile,
    format_lsn,
    parse_lsn,
    parse_segment_name,
    read_control_file,
    segment_name,
    write_control_file,
)


def test_sizes():
    assert CHECKPOINT_FORMAT.size == 88
    assert CONTROL_SIZE == 296
    assert len(checkpoint_record(CheckPoint())) == 114


def test_crc_by_instruction_and_by_table():
    assert crc32c(b"123456789") == 0xE3069283
    data = random.Random(1).randbytes(300)
    for n in range(300):
        assert crc32c(data[:n]) == crc32c(data[:n], hardware=False)


def test_control_file_round_trip():
    control = ControlFile(system_identifier=1 << 60, mock_authentication_nonce=bytes(range(32)), wal_log_hints=True)
    assert ControlFile.unpack(control.pack()) == control


def test_controldata_prints_what_pg_controldata_prints(tmp_path, oracle):
    directory = cluster.make(tmp_path / "d")
    control = read_control_file(directory)
    control.checkpoint_copy.next_xid = 7 << 32 | 1234
    control.min_recovery_point = 0x1_0000_2000
    write_control_file(directory, control)
    wanted = subprocess.run([oracle / "pg_controldata", directory], capture_output=True, text=True,
                            env={"LC_ALL": "C", "TZ": "UTC"})
    old, os.environ["TZ"] = os.environ.get("TZ"), "UTC"
    try:
        import time

        time.tzset()
        text, warnings = report_control_file(directory)
    finally:
        if old is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = old
        time.tzset()
    assert text == wanted.stdout
    assert wanted.stderr == "" and warnings == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blcksz": 4096}, "database files are incompatible with server"),
        ({"catalog_version_no": 1}, "database files are incompatible with server"),
        ({"pg_control_version": 1300}, "database files are incompatible with server"),
        ({"xlog_seg_size": 12345}, "invalid WAL segment size in control file (12345 bytes)"),
    ],
)
def test_a_foreign_control_file_is_refused(tmp_path, change, message):
    (tmp_path / "global").mkdir()
    write_control_file(tmp_path, ControlFile(**change))
    with pytest.raises(Fatal) as caught:
        read_control_file(tmp_path)
    assert caught.value.message == message


def test_a_damaged_control_file_is_refused(tmp_path):
    (tmp_path / "global").mkdir()
    write_control_file(tmp_path, ControlFile())
    path = tmp_path / "global/pg_control"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(Fatal, match="incorrect checksum in control file"):
        read_control_file(tmp_path)


def test_the_first_segment_is_read_by_pg_waldump(tmp_path, oracle):
    directory = cluster.make(tmp_path / "d")
    shown = subprocess.run([oracle / "pg_waldump", "-p", directory / "pg_wal", "-s", cluster.START, "-n", "1"],
                           capture_output=True, text=True)
    assert shown.stderr == ""
    assert "CHECKPOINT_SHUTDOWN redo 0/100028; tli 1; prev tli 1; fpw true; wal_level replica; xid 0:3;" in shown.stdout


def test_names_and_positions():
    assert segment_name(1, 0x1_02, 16 << 20) == "000000010000000100000002"
    assert parse_segment_name("0000000A0000000100000002", 16 << 20) == (10, 0x102)
    assert parse_lsn(format_lsn(0x12_3456_789A)) == 0x12_3456_789A
    for bad in ("", "1", "1/", "/1", "1/g", "123456789/1"):
        with pytest.raises(ValueError, match="invalid LSN"):
            parse_lsn(bad)


@pytest.mark.parametrize("kind", ["zeroes", "text", "mixed"])
def test_pglz_round_trip(kind):
    source = {
        "zeroes": bytes(8192),
        "text": b"the quick brown fox jumps over the lazy dog. " * 180,
        "mixed": random.Random(2).randbytes(500) + bytes(5000) + random.Random(3).randbytes(200),
    }[kind]
    packed = _pglz.compress(source)
    assert packed is not None and len(packed) < len(source) * 3 // 4
    assert _pglz.decompress(packed, len(source)) == source
    for n in range(0, len(packed), 7):
        assert _pglz.decompress(packed[:n], len(source)) is None


def test_pglz_gives_up_on_noise():
    assert _pglz.compress(os.urandom(8192)) is None
    assert _pglz.compress(b"short") is None
