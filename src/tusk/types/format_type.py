"""Names of types as SQL text: format_type(), pg_typeof's display, names in error messages."""

from tusk.catalog.identifiers import quote_identifier
from tusk.types.compare import set_type_display
from tusk.types.registry import find_function, function, services

# Names that SQL has for built-in types; the rest go by their typname.
SQL_NAMES = {
    16: "boolean", 20: "bigint", 21: "smallint", 23: "integer", 700: "real", 701: "double precision",
    114: "json", 1042: "character", 1043: "character varying", 1083: "time without time zone",
    1114: "timestamp without time zone", 1184: "timestamp with time zone", 1266: "time with time zone", 1560: "bit",
    1562: "bit varying", 1186: "interval", 1700: "numeric",
}  # fmt: skip


def format_type(type_oid: int, typmod: int | None = -1, *, qualify: bool = False) -> str:
    """SQL name of a type. ``typmod`` None means none was asked for, -1 that there is none."""
    if type_oid == 0:
        return "-"
    info = services.type_info(type_oid)
    if info is None:
        return "???"
    if info.is_array and info.typstorage != "p" and info.typelem:
        return format_type(info.typelem, typmod, qualify=qualify) + "[]"
    shown = typmod if typmod is not None else -1
    name = SQL_NAMES.get(type_oid)
    if name is None:
        return _plain_name(type_oid, info.typname, qualify) + _modifier(info.typmodout, shown)
    if shown >= 0 and info.typmodout:
        if type_oid in (1083, 1114, 1184, 1266):
            # The precision stands inside the name: timestamp(3) without time zone.
            return f"{name.split(' ')[0]}{_modifier(info.typmodout, shown)}"
        if type_oid == 1186:
            return "interval" + _modifier(info.typmodout, shown)
        return name + _modifier(info.typmodout, shown)
    if type_oid == 1560 and typmod == -1:
        # A bit without length is not the SQL standard's bit(1): quotes tell them apart.
        return '"bit"'
    if type_oid == 1042 and typmod == -1:
        return "bpchar"
    return name


def _plain_name(type_oid: int, typname: str, qualify: bool) -> str:
    provider = services.get("type_name")
    if provider is not None:
        # Whoever knows the search path knows whether the schema must be shown.
        found: str | None = provider(type_oid, qualify)
        if found is not None:
            return found
    return quote_identifier(typname) if typname != "char" else '"char"'


def _modifier(typmodout: str, typmod: int) -> str:
    if typmod < 0:
        return ""
    definition = find_function(typmodout) if typmodout else None
    return str(definition.call(typmod)) if definition is not None else f"({typmod})"


set_type_display(lambda oid: format_type(oid, None))


@function("format_type")
def _format_type(type_oid: int | None, typmod: int | None) -> str | None:
    return None if type_oid is None else format_type(type_oid, typmod)


@function("oidvectortypes")
def _vector_types(types: object) -> str:
    return ", ".join(format_type(oid, None) for oid in getattr(types, "elements", ()))
