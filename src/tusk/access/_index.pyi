"""The face over index methods."""

class IndexScan:
    def close(self) -> None: ...

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
