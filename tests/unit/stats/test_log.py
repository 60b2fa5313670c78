"""Pieces of the server log: the pipe's protocol, the prefix, rotation times and files, syslog's pieces."""

import os
from io import FileIO
from random import Random

import pytest

from tusk.auxiliary import logger
from tusk.auxiliary.logger import Logger, next_rotation_time
from tusk.config import settings
from tusk.errors import Severity
from tusk.stats import log_pipe, log_syslog, session_info
from tusk.stats.log_pipe import DEST_CSVLOG, DEST_JSONLOG, DEST_STDERR, HEADER, Assembler
from tusk.stats.log_prefix import format_prefix
from tusk.stats.log_record import LogRecord, is_logged


@pytest.fixture
def setting():
    changed = {}

    def change(**values):
        for name, value in values.items():
            changed.setdefault(name, getattr(settings, name))
            setattr(settings, name, value)

    yield change
    for name, value in changed.items():
        setattr(settings, name, value)


def chunks(pid, data, destination):
    """A message as write_chunks would send it for a process."""
    parts = [data[at : at + log_pipe.MAX_PAYLOAD] for at in range(0, len(data), log_pipe.MAX_PAYLOAD)]
    return [
        HEADER.pack(b"\0\0", len(part), pid, destination | (part is parts[-1])) + part for part in parts
    ]


def test_header_is_nine_bytes():
    assert HEADER.size == 9 and log_pipe.CHUNK_SIZE == 4096


def test_write_chunks():
    read, write = os.pipe()
    data = bytes(range(1, 251)) * 40
    log_pipe.write_chunks(write, data, DEST_CSVLOG)
    os.close(write)
    assembler = Assembler()
    assert list(assembler.feed(os.read(read, 65536))) == [(DEST_CSVLOG, data)]
    os.close(read)


def test_chunks_of_many_processes_in_any_cut():
    random = Random(4)
    messages = {(pid, kind): os.urandom(random.randrange(1, 20000)).replace(b"\0", b"z")
                for pid in range(1, 9) for kind in (DEST_STDERR, DEST_CSVLOG, DEST_JSONLOG)}  # fmt: skip
    queues = [chunks(pid, data, kind) for (pid, kind), data in messages.items()]
    stream = b""
    while queues:
        queue = random.choice(queues)
        stream += queue.pop(0)
        queues = [queue for queue in queues if queue]
    assembler, found, at = Assembler(), [], 0
    while at < len(stream):
        step = random.randrange(1, 9000)
        found += assembler.feed(stream[at : at + step])
        at += step
    assert sorted(found) == sorted((kind, data) for (_, kind), data in messages.items())
    assert list(assembler.rest()) == []


def test_foreign_output_passes():
    assembler = Assembler()
    assert list(assembler.feed(b"Traceback\n")) == [(DEST_STDERR, b"Traceback\n")]
    assert list(assembler.feed(b"x" * 20 + chunks(5, b"ours\n", DEST_STDERR)[0])) == [
        (DEST_STDERR, b"x" * 20), (DEST_STDERR, b"ours\n"),
    ]  # fmt: skip


def test_unfinished_messages_come_at_the_end():
    assembler = Assembler()
    assert list(assembler.feed(chunks(5, b"a" * 5000, DEST_STDERR)[0])) == []
    assert list(assembler.rest()) == [(DEST_STDERR, b"a" * log_pipe.MAX_PAYLOAD)]


def test_prefix():
    session_info.begin(session_info.SessionInfo(pid=12, user="me", remote_host="[local]", has_client=True))
    record = LogRecord(Severity.ERROR, "22012", "x")
    try:
        assert format_prefix("%p|%5p|%-5p|%u|%e|%%|%T|", record) == "12|   12|12   |me|22012|%||"
        assert format_prefix("%d %q%u", record) == "[unknown] me"
        session_info.current.has_client = False
        assert format_prefix("%u[%d]%q%p", record) == "[]"
        assert format_prefix("abc%", record) == "abc"
    finally:
        session_info.begin(session_info.SessionInfo())


def test_log_stands_between_error_and_fatal():
    assert is_logged(Severity.LOG, "error") and not is_logged(Severity.LOG, "fatal")
    assert is_logged(Severity.FATAL, "log") and not is_logged(Severity.ERROR, "log")


@pytest.mark.parametrize(("zone", "age", "now", "expected"), [
    ("UTC", 1440, 1_000_000_000, 1_000_080_000),
    ("UTC", 60, 1_000_000_000, 1_000_000_800),
    ("Asia/Kolkata", 1440, 1_000_000_000, 1_000_060_200),
    ("UTC", 0, 1_000_000_000, 0),
])  # fmt: skip
def test_rotation_is_aligned_to_local_time(setting, zone, age, now, expected):
    setting(log_rotation_age=age, log_timezone=zone)
    assert next_rotation_time(now) == expected


@pytest.mark.parametrize(
    ("by_time", "truncate", "left"), [(True, True, b""), (True, False, b"old"), (False, True, b"old")]
)
def test_truncation(setting, tmp_path, monkeypatch, by_time, truncate, left):
    """A file that age leads back to is emptied; one that size or a request leads to is not."""
    monkeypatch.chdir(tmp_path)
    setting(log_directory=".", log_filename="%S.log", log_timezone="UTC", log_truncate_on_rotation=truncate,
            log_rotation_age=1440, log_file_mode=0o600)  # fmt: skip
    monkeypatch.setattr(logger.time, "time", lambda: 30.0)
    (tmp_path / "30.log").write_bytes(b"old")
    process = Logger(-1, -1, 10.0)
    process.destinations = DEST_STDERR
    process._open_first_files()
    process.next_rotation = 30.0
    process._rotate(by_time, {DEST_STDERR})
    assert process.files[DEST_STDERR].name == "./30.log" and (tmp_path / "30.log").read_bytes() == left
    assert (tmp_path / "current_logfiles").read_text() == "stderr ./30.log\n"
    assert isinstance(process.files[DEST_STDERR].file, FileIO)
    for log_file in process.files.values():
        log_file.close()


def test_syslog_pieces():
    text = "first\n\n" + "word " * 400 + "\n" + "ü" * 1000
    found = list(log_syslog.pieces(text))
    assert found[0] == "first" and all(len(piece.encode()) <= 900 for piece in found)
    assert "".join(found) == text.replace("\n", "")
    assert found[1].endswith(" ")
