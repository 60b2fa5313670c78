"""The b-tree as an index access method."""

from tusk.access._index import IndexMethod

class BTMethod(IndexMethod): ...
