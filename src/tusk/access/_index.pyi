"""The face over index methods."""

from collections.abc import Callable

from tusk.access._relation import Relation

class IndexScan:
    def close(self) -> None: ...

class IndexFormer:
    heap: Relation
    index: Relation
    def __init__(self, heap: Relation, index: Relation) -> None: ...

class IndexMethod:
    name: str
    amcanorder: bool
    amcanunique: bool
    amcanmulticol: bool
    amsearcharray: bool
    amsearchnulls: bool
    amsummarizing: bool
    amcaninclude: bool

def register_index_method(am_oid: int, method: IndexMethod) -> None: ...
def index_methods() -> dict[int, str]: ...
def index_former(heap: Relation, index: Relation) -> IndexFormer: ...
def set_index_former(factory: Callable[[Relation, Relation], IndexFormer]) -> None: ...
def index_build(heap: Relation, index: Relation) -> tuple[float, float, bool]: ...
def index_build_empty(index: Relation, fork: int = 0) -> None: ...
