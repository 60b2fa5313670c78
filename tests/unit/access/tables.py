"""Hand-made relations and values."""

LOCATOR = (1663, 5, 16384)


def text(value):
    """A text datum with a 4-byte header."""
    data = value.encode() if isinstance(value, str) else value
    return ((len(data) + 4) << 2).to_bytes(4, "little") + data


def plain(datum):
    """The data of a short or plain varlena."""
    return datum[1:] if datum[0] & 1 else datum[4:]


def descriptor(storage="x"):
    """a int4 not null, b text, c int8."""
    from tusk.access._tupdesc import AttributeRow, TupleDesc

    return TupleDesc([
        AttributeRow("a", 23, 4, True, "i", attnotnull=True),
        AttributeRow("b", 25, -1, False, "i", storage, attcollation=950),
        AttributeRow("c", 20, 8, True, "d"),
    ])


def table(create=True, oid=16384, storage="x", **options):
    """A table (a, b, c) with an index on a, in a file of its own."""
    from tusk.access._relation import Relation
    from tusk.access.heap import _redo, _table  # noqa: F401
    from tusk.storage import _smgr

    locator = (*LOCATOR[:2], oid)
    if create:
        _smgr.create(locator)
    rel = Relation(oid, locator, "t", descriptor(storage))
    rel.set_indexed_attrs(hot=[1], key=[1])
    for name, value in options.items():
        setattr(rel, name, value)
    return rel


class transaction:
    """``with transaction():`` commits at the end."""

    def __enter__(self):
        from tusk.transaction import _xact

        _xact.start_command()
        return _xact

    def __exit__(self, kind, value, traceback):
        from tusk.transaction import _xact

        if kind is None:
            _xact.commit_command()
        else:
            _xact.abort_current()
