"""Looking for valid WAL beyond a record that cannot be read: is this the end, or a hole?

After a crash the last pages may be torn, and pages that were written but never synced may be there in any order. So
what lies beyond counts only if it was flushed for certain: at or before the flush mark, or in a later segment (a
segment is synced before the next one is begun).
"""

import os

from tusk.wal._reader import WalReader
from tusk.wal.controlfile import segment_name

_PAGE = 8192


def find_later_wal(reader: WalReader, at: int, flush_mark: int) -> int | None:
    """The start of a valid record after `at` whose flush is certain, None if there is none."""
    size = reader.segment_size
    if flush_mark > at:
        probe = WalReader(reader.directory, size, reader.timeline, reader.system_identifier)
        found = _in_page(probe, at)
        if found is not None and found < flush_mark:
            return found
        page = at - at % _PAGE + _PAGE
        while page < flush_mark:
            found = _on_page(probe, page)
            if found is not None and at < found < flush_mark:
                return found
            page += _PAGE
        probe.close()
    return _in_later_segment(reader, at)


def _in_page(probe: WalReader, at: int) -> int | None:
    """A valid record in the rest of the page of `at`, at any aligned place."""
    for candidate in range(at + 8, at - at % _PAGE + _PAGE - 24 + 1, 8):
        probe.begin(candidate)
        record = probe.read_record()
        # Its predecessor is the damaged record or one after it, if it belongs to what followed.
        if record is not None and record.prev >= at:
            return candidate
    return None


def _on_page(probe: WalReader, page: int) -> int | None:
    """The first valid record that starts on a page, if the page is what its place says."""
    start = probe.find_next_record(page)
    return start if start and start < page + _PAGE else None


def _in_later_segment(reader: WalReader, at: int) -> int | None:
    segno = at // reader.segment_size + 1
    path = os.path.join(reader.directory, segment_name(reader.timeline, segno, reader.segment_size))
    if not os.path.exists(path):
        return None
    start = segno * reader.segment_size
    probe = WalReader(reader.directory, reader.segment_size, reader.timeline, reader.system_identifier)
    found = probe.find_next_record(start)
    probe.close()
    # A record that merely ends the segment may continue there without anything being wrong before it.
    return found if found and found >= start else None
