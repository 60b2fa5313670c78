"""A short run of the torture: see tests/torture. ``python -m tests.torture`` is the long one."""

import subprocess
import sys
from pathlib import Path

from servers import oracle_programs


def test_nothing_is_lost_when_processes_are_killed():
    oracle_programs()
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture", "--minutes", "0", "--round-seconds", "10", "--kills", "5",
         "--clients", "4"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PostgreSQL 18 agrees" in done.stdout
