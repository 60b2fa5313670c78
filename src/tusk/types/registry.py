"""The registry of built-in functions, and what a function may ask of the layers above it.

A built-in function is keyed by its ``pg_proc.prosrc`` name. The caller handles strictness (``proisstrict``): a strict
function never sees None. `services` is the registry through which functions reach what lies above `types` or depends
on the session; catalog, sql, commands and backend fill it when they are imported.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from tusk.errors import SqlError, errcode, feature_not_supported

F = TypeVar("F", bound=Callable[..., Any])

InvalidOid = 0
DEFAULT_COLLATION_OID = 100
C_COLLATION_OID = 950


class BuiltinFunction:
    """One definition: the callable, and how to call it."""

    __slots__ = ("call", "context", "prosrc", "set_returning")

    def __init__(self, prosrc: str, call: Callable[..., Any], context: bool, set_returning: bool) -> None:
        self.prosrc = prosrc
        self.call = call
        self.context = context
        self.set_returning = set_returning

    def __repr__(self) -> str:
        return f"<function {self.prosrc}>"


_functions: dict[str, BuiltinFunction] = {}
_loaded = False


def function(*prosrcs: str, context: bool = False, set_returning: bool = False) -> Callable[[F], F]:
    """Register the definition of the functions with these ``prosrc`` names.

    With ``context`` the first argument is a `CallContext`. A set-returning definition is a generator (or returns an
    iterable) of values; rows are tuples of column values.
    """

    def decorate(call: F) -> F:
        for prosrc in prosrcs:
            _functions[prosrc] = BuiltinFunction(prosrc, call, context, set_returning)
        return call

    return decorate


def load_builtins() -> None:
    """Import every module of this package that defines functions or codecs."""
    global _loaded
    if not _loaded:
        _loaded = True
        importlib.import_module("tusk.types.builtins")


def lookup_function(prosrc: str) -> BuiltinFunction:
    """The definition of a built-in function; 0A000 naming it if it has none yet."""
    found = find_function(prosrc)
    if found is None:
        raise feature_not_supported(f'function "{prosrc}"')
    return found


def find_function(prosrc: str) -> BuiltinFunction | None:
    """The definition of a built-in function, or None."""
    found = _functions.get(prosrc)
    if found is None and not _loaded:
        load_builtins()
        found = _functions.get(prosrc)
    return found


def registered_functions() -> list[str]:
    """All ``prosrc`` names that have a definition."""
    load_builtins()
    return sorted(_functions)


class ColumnInfo(NamedTuple):
    """One column of a row type."""

    name: str
    type_oid: int
    typmod: int = -1
    collation: int = 0
    is_dropped: bool = False


class CallContext:
    """What a function may know of its call: made once for each call site by the executor.

    ``argument_types`` are the actual (resolved) types; for a VARIADIC "any" function they are one for each actual
    argument, or, with ``variadic`` set, the last one is the array passed with the VARIADIC keyword. ``columns`` is the
    column definition of a function returning record, ``extra`` the function's own cache for this call site.
    ``aggregate`` tells of the aggregate call a transition or final function belongs to.
    """

    __slots__ = (
        "aggregate",
        "argument_types",
        "collation",
        "columns",
        "extra",
        "result_type",
        "result_typmod",
        "session",
        "variadic",
    )

    def __init__(
        self,
        collation: int = DEFAULT_COLLATION_OID,
        argument_types: Sequence[int] = (),
        result_type: int = InvalidOid,
        result_typmod: int = -1,
        variadic: bool = False,
        columns: Sequence[ColumnInfo] | None = None,
        session: Any = None,
        aggregate: "AggregateInfo | None" = None,
    ) -> None:
        self.collation = collation
        self.argument_types = argument_types
        self.result_type = result_type
        self.result_typmod = result_typmod
        self.variadic = variadic
        self.columns = columns
        self.session = session if session is not None else services
        self.aggregate = aggregate
        self.extra: Any = None


class AggregateInfo(NamedTuple):
    """What the support functions of an ordered-set aggregate need: a SortKey for each aggregated argument."""

    sort_keys: tuple["SortKey", ...] = ()
    input_types: tuple[int, ...] = ()
    is_hypothetical: bool = False


class SortKey(NamedTuple):
    """One ORDER BY column: a three-way comparison (never called with None), direction and place of nulls."""

    compare: Callable[[Any, Any], int]
    descending: bool = False
    nulls_first: bool = False
    type_oid: int = 0


class TypeInfo(NamedTuple):
    """The row of pg_type that text, binary and disk formats depend on; functions by their prosrc ('' is none)."""

    oid: int
    typname: str
    typlen: int
    typbyval: bool
    typalign: str
    typstorage: str
    typtype: str
    typcategory: str
    typispreferred: bool
    typdelim: str
    typelem: int
    typarray: int
    is_array: bool  # typsubscript is array_subscript_handler and typlen is -1
    typinput: str
    typoutput: str
    typreceive: str
    typsend: str
    typmodin: str
    typmodout: str
    typcollation: int
    typnamespace: int = 11
    typrelid: int = 0
    typbasetype: int = 0
    typtypmod: int = -1
    typnotnull: bool = False


class Services:
    """Functions that upper layers provide. One that nobody provided raises 0A000 with its name.

    ======================= ==========================================================================================
    type_info(oid)          TypeInfo of a type not built in, or None
    enum_labels(oid)        [(label oid, sort order, label)] in sort order
    row_columns(oid)        [ColumnInfo] of a composite type, dropped ones included
    domain_check(oid, v)    raise 23502/23514 unless the domain's constraints hold
    reg_in(kind, text, ok)  oid of a ``reg*`` name, kind such as "regclass"; if ``ok`` None when it does not exist
    reg_out(kind, oid)      name, qualified where needed, or None when there is no such object
    parse_type(text)        (oid, typmod) of a type's name as in a cast
    type_name(oid)          name of a non built-in type, quoted, qualified where needed, or None
    role_name(oid)          name of a role or None; role_oid(name) the reverse
    current_user()          name of the current user; session_user(), current_database() likewise
    search_path(implicit)   names of the schemas in the effective search path
    collation_compare(...)  (collation, a, b) -> int for a collation other than C
    collation_locale(oid)   (provider letter, locale name, deterministic) of a collation; the default one included
    transaction_timestamp() microseconds since 2000-01-01; statement_timestamp() likewise
    call_function(oid, args) result of the function with this oid
    compare_values(oid)     btree comparison for a type without a built-in one, or None
    ======================= ==========================================================================================
    """

    def __init__(self) -> None:
        self._provided: dict[str, Callable[..., Any]] = {}

    def provide(self, name: str, provider: Callable[..., Any]) -> None:
        """Install a service; a later one replaces it."""
        self._provided[name] = provider

    def has(self, name: str) -> bool:
        """Is there a provider of this name?"""
        return name in self._provided

    def get(self, name: str) -> Callable[..., Any] | None:
        """The provider of this name, or None."""
        return self._provided.get(name)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a service."""
        provider = self._provided.get(name)
        if provider is None:
            raise feature_not_supported(f'service "{name}"')
        return provider(*arguments)

    def type_info(self, oid: int) -> TypeInfo | None:
        """TypeInfo of any type: built-in ones need no provider."""
        info = builtin_type_info(oid)
        if info is None and "type_info" in self._provided:
            info = self._provided["type_info"](oid)
        return info

    def row_columns(self, type_oid: int, typmod: int = -1) -> Sequence[ColumnInfo] | None:
        """Columns of a composite type or a blessed record; None when unknown (anonymous record)."""
        if type_oid == RECORDOID:
            return _blessed[typmod] if 0 <= typmod < len(_blessed) else None
        columns: Sequence[ColumnInfo] | None = self.call("row_columns", type_oid)
        return columns


RECORDOID = 2249
_blessed: list[tuple[ColumnInfo, ...]] = []
_blessed_index: dict[tuple[ColumnInfo, ...], int] = {}


def bless_record(columns: Sequence[ColumnInfo]) -> int:
    """A typmod that identifies this anonymous row type in this process (PostgreSQL: BlessTupleDesc)."""
    key = tuple(columns)
    typmod = _blessed_index.get(key)
    if typmod is None:
        typmod = _blessed_index[key] = len(_blessed)
        _blessed.append(key)
    return typmod


services = Services()


def provide(name: str) -> Callable[[F], F]:
    """Decorator: this function is the service of that name."""

    def decorate(call: F) -> F:
        services.provide(name, call)
        return call

    return decorate


_builtin_types: dict[int, TypeInfo] = {}


def builtin_type_info(oid: int) -> TypeInfo | None:
    """TypeInfo of a type that initdb's bootstrap makes; None for any other."""
    if not _builtin_types:
        _fill_builtin_types()
    return _builtin_types.get(oid)


def builtin_types() -> dict[int, TypeInfo]:
    """All built-in types by oid."""
    if not _builtin_types:
        _fill_builtin_types()
    return _builtin_types


def _fill_builtin_types() -> None:
    rows = importlib.import_module("tusk.types.builtin_types").TYPES
    for row in rows:
        info = TypeInfo(*row)
        _builtin_types[info.oid] = info
        if info.typarray:
            align = "d" if info.typalign == "d" else "i"
            _builtin_types[info.typarray] = TypeInfo(
                info.typarray, "_" + info.typname, -1, False, align, "x", "b" if info.typtype != "p" else "p",
                "A" if info.typtype != "p" else "P", False, info.typdelim, info.oid, 0, True,
                "array_in", "array_out", "array_recv", "array_send", info.typmodin, info.typmodout, info.typcollation,
            )  # fmt: skip


class _Defaults:
    """Stands in for the settings until the process has some."""


_settings_source: Any = None


def use_settings(source: Any) -> None:
    """Read settings from the attributes of ``source``; for programs without a server."""
    global _settings_source
    _settings_source = source


def setting(name: str, default: Any) -> Any:
    """The current value of a configuration parameter."""
    source = _settings_source
    if source is None:
        source = _find_settings()
    return getattr(source, name, default)


def _find_settings() -> Any:
    global _settings_source
    config = importlib.import_module("tusk.config")
    _settings_source = getattr(config, "settings", None) or _Defaults()
    return _settings_source


def invalid_text(type_name: str, text: str) -> SqlError:
    """22P02: the text is not a value of the type."""
    return SqlError(errcode.INVALID_TEXT_REPRESENTATION, f'invalid input syntax for type {type_name}: "{text}"')


def out_of_range(type_name: str) -> SqlError:
    """22003: a result does not fit its type."""
    return SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, f"{type_name} out of range")


def division_by_zero() -> SqlError:
    """22012."""
    return SqlError(errcode.DIVISION_BY_ZERO, "division by zero")
