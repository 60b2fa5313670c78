"""The cluster without SQL of the transaction tests, for tables made by hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "transaction"))
sys.path.insert(0, str(Path(__file__).parent))
