import sys
from pathlib import Path

for folder in ("compat", "unit/transaction", "unit/access"):
    sys.path.insert(0, str(Path(__file__).parent.parent / folder))
