"""Open relations."""

from collections.abc import Callable, Iterable
from typing import Any

from tusk.access._tupdesc import TupleDesc

class Relation:
    rd_id: int
    rd_backend: int
    name: str
    namespace: int
    desc: TupleDesc
    form: Any
    extra: Any
    is_shared: bool
    is_catalog: bool
    is_user_catalog: bool
    is_toast: bool
    is_mapped: bool
    is_nailed: bool
    valid: bool
    refcount: int
    create_subid: int
    new_locator_subid: int
    first_locator_subid: int
    relfrozenxid: int
    relminmxid: int
    fillfactor: int
    toast_tuple_target: int
    parallel_workers: int
    reltoastrelid: int
    toast_relation: Relation | Callable[[], Relation] | None
    index_oids: list[int]
    indexes: list[Relation] | Callable[[], list[Relation]]
    indexed_attrs_valid: bool
    load_indexed_attrs: Callable[[Relation], object] | None
    heap_oid: int
    am_oid: int
    am_name: str | None
    indnatts: int
    indnkeyatts: int
    indkey: list[int]
    indisunique: bool
    indnullsnotdistinct: bool
    indisprimary: bool
    indisexclusion: bool
    indimmediate: bool
    indisvalid: bool
    indisready: bool
    indislive: bool
    indcheckxmin: bool
    deduplicate_items: bool
    index_expressions: list[Any]
    index_predicate: list[Any]
    index_form: Any
    am_cache: Any
    persistence: str
    replica_identity: str
    def __init__(
        self,
        oid: int,
        locator: tuple[int, int, int],
        name: str,
        desc: TupleDesc,
        relkind: str = ...,
        relpersistence: str = ...,
        namespace: int = ...,
        form: Any = ...,
    ) -> None: ...
    @property
    def locator(self) -> tuple[int, int, int]: ...
    def set_locator(self, spc: int, db: int, relnumber: int) -> None: ...
    @property
    def kind(self) -> str: ...
    @property
    def needs_wal(self) -> bool: ...
    def set_indexed_attrs(
        self,
        hot: Iterable[int] = ...,
        summarized: Iterable[int] = ...,
        key: Iterable[int] = ...,
        identity: Iterable[int] = ...,
    ) -> None: ...
    def set_index_keys(
        self,
        keys: Iterable[tuple[int, int, int, int, str | None]],
        indkey: Iterable[int],
        heap_oid: int = ...,
        am_oid: int = ...,
        am_name: str = ...,
    ) -> None: ...
    def key_column(self, i: int) -> tuple[int, int, int, int, int]: ...
