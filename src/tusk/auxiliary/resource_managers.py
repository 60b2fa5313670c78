"""Everything that replays WAL or takes part in checkpoints, imported in one place.

The modules register themselves with `tusk.wal` and declare their shared areas when they are imported, so this must
happen in the postmaster, before the shared segment is made: whatever a process replays or checkpoints is then there in
the startup process and the checkpointer.
"""

from tusk.access import _sequence
from tusk.access.heap import _redo as heap
from tusk.catalog import _runtime as relation_map
from tusk.commands import _database as database
from tusk.transaction import recovery

MODULES = (recovery, heap, _sequence, relation_map, database)
