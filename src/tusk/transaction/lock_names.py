"""What heavyweight locks are called: modes, tag types, and tags in messages."""

MODE_NAMES = (
    "INVALID",
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)

TYPE_NAMES = (
    "relation",
    "extend",
    "frozenid",
    "page",
    "tuple",
    "transactionid",
    "virtualxid",
    "spectoken",
    "object",
    "userlock",
    "advisory",
    "applytransaction",
)

LockTag = tuple[int, int, int, int, int, int]
"""(field1, field2, field3, field4, type, method), as in struct LOCKTAG."""

_FORMATS = (
    "relation {1} of database {0}",
    "extension of relation {1} of database {0}",
    "pg_database.datfrozenxid of database {0}",
    "page {2} of relation {1} of database {0}",
    "tuple ({2},{3}) of relation {1} of database {0}",
    "transaction {0}",
    "virtual transaction {0}/{1}",
    "speculative token {1} of transaction {0}",
    "object {2} of class {1} of database {0}",
    "user lock [{0},{1},{2}]",
    "advisory lock [{0},{1},{2},{3}]",
    "remote transaction {2} of subscription {1} of database {0}",
)


def describe_tag(tag: LockTag) -> str:
    """The locked object as messages name it (DescribeLockTag)."""
    kind = tag[4]
    if kind >= len(_FORMATS):
        return f"unrecognized locktag type {kind}"
    return _FORMATS[kind].format(*tag)


Row = tuple[
    str,  # locktype
    int | None,  # database
    int | None,  # relation
    int | None,  # page
    int | None,  # tuple
    str | None,  # virtualxid
    int | None,  # transactionid
    int | None,  # classid
    int | None,  # objid
    int | None,  # objsubid
    str,  # virtualtransaction
    int | None,  # pid
    str,  # mode
    bool,  # granted
    bool,  # fastpath
    int | None,  # waitstart, µs
]


def _tag_columns(tag: LockTag) -> tuple[object, ...]:
    """database .. objsubid of pg_locks."""
    f1, f2, f3, f4, kind, _ = tag
    nulls: list[object] = [None] * 9
    if kind in (0, 1):
        nulls[0:2] = f1, f2
    elif kind == 2:
        nulls[0] = f1
    elif kind == 3:
        nulls[0:3] = f1, f2, f3
    elif kind == 4:
        nulls[0:4] = f1, f2, f3, f4
    elif kind == 5:
        nulls[5] = f1
    elif kind == 6:
        nulls[4] = f"{f1}/{f2}"
    elif kind == 7:
        nulls[5] = f1
        nulls[7] = f2
    elif kind == 11:
        nulls[0] = f1
        nulls[5] = f3
        nulls[7] = f2
        nulls[8] = f4
    else:
        nulls[0] = f1
        nulls[6:9] = f2, f3, f4
    return tuple(nulls)


def pg_lock_rows(data: list[tuple[LockTag, int, int, int, int, int, int, bool, int]]) -> list[tuple[object, ...]]:
    """Rows of pg_lock_status() from lock_status_data(): one for each mode held, one for a mode awaited."""
    rows: list[tuple[object, ...]] = []
    for tag, held, awaited, procno, lxid, pid, _leader, fastpath, wait_start in data:
        kind = tag[4]
        name = TYPE_NAMES[kind] if kind < len(TYPE_NAMES) else f"unknown {kind}"
        columns = _tag_columns(tag)
        owner = f"{procno}/{lxid}"
        for mode in range(1, len(MODE_NAMES)):
            if held & (1 << mode):
                rows.append((name, *columns, owner, pid or None, MODE_NAMES[mode], True, fastpath, None))
        if awaited:
            rows.append(
                (name, *columns, owner, pid or None, MODE_NAMES[awaited], False, fastpath, wait_start or None)
            )
    return rows
