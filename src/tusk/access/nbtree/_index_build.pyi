"""CREATE INDEX for b-trees."""

from collections.abc import Callable

from tusk.access._index import IndexFormer
from tusk.access._relation import Relation

def set_equal_image_finder(function: Callable[[Relation], bool] | None) -> None: ...
def build_empty(rel: Relation, fork: int = 0) -> None: ...
def build_index(heap: Relation, index: Relation, former: IndexFormer | None = None) -> tuple[float, float, bool]: ...
