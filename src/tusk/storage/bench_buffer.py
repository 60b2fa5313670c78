"""Print nanoseconds of pins and checksums: ``python -m tusk.storage.bench_buffer``."""

import os
import tempfile
from types import SimpleNamespace

from tusk.memory import _segment
from tusk.storage import _buffer, _page, _smgr

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)
        os.mkdir("base")
        _segment.create_segment(SimpleNamespace(max_connections=10, shared_buffers=1024))
        locator = (1663, 5, 16384)
        _smgr.create(locator)
        _buffer.extend(locator, 0, 64)
        print(f"read and release, cached       {min(_buffer.bench_pin(locator, 1_000_000) for _ in range(5)):6.1f} ns")
        both = min(_buffer.bench_pin(locator, 1_000_000, True) for _ in range(5))
        print(f"  with shared content lock     {both:6.1f} ns")
        print(f"page checksum                  {min(_page.bench_checksum(100_000) for _ in range(5)):6.1f} ns")
        os.chdir("/")
