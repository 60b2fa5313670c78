"""Everything in `access` that other packages reach through a hook; to be imported once, before the first fork.

Importing it registers the redo routines of heap, sequences and index methods, and the toaster, and reads the settings
they follow.
"""

from tusk.access import _sequence
from tusk.access.heap import _inplace, _redo
from tusk.access.nbtree import _cycle, _method
from tusk.access.nbtree import _redo as _btree_redo
from tusk.access.toast import _compression, _toaster
from tusk.config import settings

REGISTERED = (_redo, _sequence, _inplace, _toaster, _cycle, _method, _btree_redo)

_compression.set_default_method(lambda: settings.default_toast_compression)
