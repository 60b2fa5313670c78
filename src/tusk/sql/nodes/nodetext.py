"""Trees as text: PostgreSQL 18's pg_node_tree notation, read and written.

``{LABEL :field value ...}`` is a node, ``(...)`` a list, ``(i 1 2)`` and ``(o 1 2)`` lists of integers and OIDs, ``(b 1 2)``
a set, ``<>`` nothing. A constant holds the bytes of its datum, which the type's codec turns into a Python value and
back; of a type without a codec the bytes are kept as they are (`StoredDatum`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from tusk.errors import SqlError, errcode
from tusk.sql.nodes import enums, literals, parsetree, plantree, primitives
from tusk.sql.nodes.base import Node, _new

_TOKEN = re.compile(r"[(){}]|(?:\\.|[^\s(){}\\])+", re.S)
_ESCAPED = re.compile(r"[ \n\t(){}\\]")
_LEADING = re.compile(r"[<\"0-9]|[+-][0-9.]")
_FLOAT4OID = 700
# By-value types whose datum is zero-extended: oid, xid, cid and the reg* types.
_UNSIGNED = frozenset((16, 24, 26, 28, 29, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191))


class StoredDatum:
    """The datum of a constant whose type has no codec: the bytes exactly as stored."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredDatum) and self.data == other.data

    def __hash__(self) -> int:
        return hash(self.data)

    def __repr__(self) -> str:
        return f"StoredDatum({self.data!r})"


class _Shape:
    """How a class is written: (Python attribute, text before the value, kind) in order."""

    __slots__ = ("by_label", "fields", "kind", "label")

    def __init__(self, kind: type[Node]) -> None:
        self.kind = kind
        self.label = kind.__name__.upper()
        self.fields = tuple(
            (name, f" :{name.rstrip('_')} ", field)
            for name, field, flags in kind.FIELDS
            if "read_write_ignore" not in flags
        )
        self.by_label = {f":{name.rstrip('_')}": (name, field) for name, field, _ in kind.FIELDS}


_CLASSES: dict[str, type[Node]] = {
    name.upper(): kind
    for module in (plantree, parsetree, primitives)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Node) and kind.FIELDS is not None and name[0].isupper()
}
_shapes: dict[type, _Shape] = {}


def _shape(kind: type[Node]) -> _Shape:
    shape = _shapes.get(kind)
    if shape is None:
        shape = _shapes[kind] = _Shape(kind)
    return shape


# Datums ---------------------------------------------------------------------------------------------------------------


def datum_bytes(type_oid: int, length: int, byval: bool, value: Any) -> bytes:
    """The bytes of a non-null datum as a constant holds them: 8 for by-value types, a full varlena header else."""
    if isinstance(value, StoredDatum):
        return value.data
    from tusk.types.codec import codec_for

    data = codec_for(type_oid).to_disk(value)
    if byval:
        if type_oid in _UNSIGNED or _is_enum(type_oid):
            return data.ljust(8, b"\0")
        return int.from_bytes(data, "little", signed=True).to_bytes(8, "little", signed=True)
    if length == -1:
        return struct.pack("<I", (len(data) + 4) << 2) + data
    if length == -2:
        return data if data.endswith(b"\0") else data + b"\0"
    return data.ljust(length, b"\0")


def datum_value(type_oid: int, length: int, byval: bool, data: bytes) -> Any:
    """The Python value of a constant's bytes."""
    from tusk.types.codec import codec_for

    try:
        codec = codec_for(type_oid)
    except SqlError as error:
        if error.sqlstate != errcode.FEATURE_NOT_SUPPORTED:
            raise
        return StoredDatum(data)
    if byval:
        return codec.from_disk(data[:length])
    if length == -1:
        return codec.from_disk(data[4:])
    return codec.from_disk(data[:-1] if length == -2 else data)


def _is_enum(type_oid: int) -> bool:
    from tusk.catalog.cache import TYPEOID, lookup

    if type_oid < 16384:
        return False
    row = lookup(TYPEOID, type_oid)
    return row is not None and row.typtype == "e"


# Writing --------------------------------------------------------------------------------------------------------------


def _escape(text: str) -> str:
    shown = _ESCAPED.sub(lambda match: "\\" + match.group(), text)
    return "\\" + shown if _LEADING.match(text) else shown


def _string(text: str | None) -> str:
    if text is None:
        return "<>"
    return _escape(text) if text else '""'


def _double(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return re.sub(r"e([+-]?)(\d)$", r"e\g<1>0\2", repr(value))


class _Writer:
    """Collects the text of one tree."""

    def __init__(self, locations: bool) -> None:
        self.parts: list[str] = []
        self.locations = locations

    def node(self, node: Any) -> None:
        emit = self.parts.append
        kind = type(node)
        if node is None:
            emit("<>")
        elif kind is list:
            self.list(node, "i")
        elif kind is literals.String:
            emit(f'"{_escape(node.sval) if node.sval else ""}"')
        elif kind is literals.Integer:
            emit(str(node.ival))
        elif kind is literals.Float:
            emit(node.fval)
        elif kind is literals.Boolean:
            emit("true" if node.boolval else "false")
        elif kind is literals.BitString:
            emit(_escape(node.bsval))
        else:
            special = _SPECIAL.get(kind)
            if special is not None:
                special(self, node)
            else:
                shape = _shape(kind)
                emit("{" + shape.label)
                for name, before, field in shape.fields:
                    emit(before)
                    self.value(field, getattr(node, name))
                emit("}")

    def list(self, items: list[Any], letter: str) -> None:
        emit = self.parts.append
        if not items:
            emit("<>")
        elif isinstance(items[0], int) and not isinstance(items[0], bool):
            emit(f"({letter}{''.join(f' {item}' for item in items)})")
        else:
            emit("(")
            for number, item in enumerate(items):
                if number:
                    emit(" ")
                self.node(item)
            emit(")")

    def value(self, field: str, value: Any) -> None:
        emit = self.parts.append
        if field == "node":
            self.node(value)
        elif field in ("int", "uint", "oid"):
            emit(str(value))
        elif field == "bool":
            emit("true" if value else "false")
        elif field == "location":
            emit(str(value) if self.locations else "-1")
        elif field == "string":
            emit(_string(value))
        elif field.startswith("enum:"):
            emit(str(int(value)))
        elif field == "char":
            emit(_escape(value) if value not in ("", "\0") else "<>")
        elif field == "bitmap":
            emit(f"(b{''.join(f' {member}' for member in sorted(value))})")
        elif field.startswith("list"):
            self.list(value, "o" if field == "list:oid" else "i")
        elif field == "float":
            emit(_double(value))
        elif field.startswith("array:"):
            emit("<>" if not value else f"({' '.join(str(item) for item in value)})")
        else:
            raise SqlError(errcode.INTERNAL_ERROR, f"cannot write a field of kind {field}")

    def fields(self, node: Any, names: tuple[str, ...]) -> None:
        by_label = _shape(type(node)).by_label
        for name in names:
            self.parts.append(f" :{name} ")
            self.value(by_label[":" + name][1], getattr(node, name))

    def const(self, node: primitives.Const) -> None:
        self.parts.append("{CONST")
        self.fields(
            node,
            ("consttype", "consttypmod", "constcollid", "constlen", "constbyval", "constisnull", "location"),
        )
        if node.constisnull:
            self.parts.append(" :constvalue <>}")
            return
        data = datum_bytes(node.consttype, node.constlen, node.constbyval, node.constvalue)
        size = node.constlen if node.constbyval else len(data)
        numbers = " ".join(str(byte - 256 if byte > 127 else byte) for byte in data)
        self.parts.append(f" :constvalue {size} [ {numbers} ]}}")

    def bool_expr(self, node: primitives.BoolExpr) -> None:
        word = {enums.AND_EXPR: "and", enums.OR_EXPR: "or", enums.NOT_EXPR: "not"}[node.boolop]
        self.parts.append(f"{{BOOLEXPR :boolop {word}")
        self.fields(node, ("args", "location"))
        self.parts.append("}")

    def rte(self, node: parsetree.RangeTblEntry) -> None:
        self.parts.append("{RANGETBLENTRY")
        self.fields(node, ("alias", "eref", "rtekind", *_RTE_FIELDS[node.rtekind], *_RTE_LAST))
        self.parts.append("}")

    def a_const(self, node: parsetree.A_Const) -> None:
        self.parts.append("{A_CONST")
        if node.isnull:
            self.parts.append(" NULL")
        else:
            self.fields(node, ("val",))
        self.fields(node, ("location",))
        self.parts.append("}")

    def a_expr(self, node: parsetree.A_Expr) -> None:
        self.parts.append("{A_EXPR" + _A_EXPR_WORDS[node.kind])
        self.fields(node, ("name", "lexpr", "rexpr", "rexpr_list_start", "rexpr_list_end", "location"))
        self.parts.append("}")


_COLUMN_LISTS = ("coltypes", "coltypmods", "colcollations")
_RTE_FIELDS: dict[int, tuple[str, ...]] = {
    enums.RTE_RELATION: ("relid", "inh", "relkind", "rellockmode", "perminfoindex", "tablesample"),
    enums.RTE_SUBQUERY: (
        "subquery",
        "security_barrier",
        "relid",
        "inh",
        "relkind",
        "rellockmode",
        "perminfoindex",
    ),
    enums.RTE_JOIN: (
        "jointype",
        "joinmergedcols",
        "joinaliasvars",
        "joinleftcols",
        "joinrightcols",
        "join_using_alias",
    ),
    enums.RTE_FUNCTION: ("functions", "funcordinality"),
    enums.RTE_TABLEFUNC: ("tablefunc",),
    enums.RTE_VALUES: ("values_lists", *_COLUMN_LISTS),
    enums.RTE_CTE: ("ctename", "ctelevelsup", "self_reference", *_COLUMN_LISTS),
    enums.RTE_NAMEDTUPLESTORE: ("enrname", "enrtuples", *_COLUMN_LISTS, "relid"),
    enums.RTE_RESULT: (),
    enums.RTE_GROUP: ("groupexprs",),
}
_RTE_LAST = ("lateral", "inFromCl", "securityQuals")
_A_EXPR_WORDS = {
    enums.AEXPR_OP: "",
    enums.AEXPR_OP_ANY: " ANY",
    enums.AEXPR_OP_ALL: " ALL",
    enums.AEXPR_DISTINCT: " DISTINCT",
    enums.AEXPR_NOT_DISTINCT: " NOT_DISTINCT",
    enums.AEXPR_NULLIF: " NULLIF",
    enums.AEXPR_IN: " IN",
    enums.AEXPR_LIKE: " LIKE",
    enums.AEXPR_ILIKE: " ILIKE",
    enums.AEXPR_SIMILAR: " SIMILAR",
    enums.AEXPR_BETWEEN: " BETWEEN",
    enums.AEXPR_NOT_BETWEEN: " NOT_BETWEEN",
    enums.AEXPR_BETWEEN_SYM: " BETWEEN_SYM",
    enums.AEXPR_NOT_BETWEEN_SYM: " NOT_BETWEEN_SYM",
}
_A_EXPR_KINDS = {word.strip(): kind for kind, word in _A_EXPR_WORDS.items() if word}
_SPECIAL: dict[type, Callable[[_Writer, Any], None]] = {
    primitives.Const: _Writer.const,
    primitives.BoolExpr: _Writer.bool_expr,
    parsetree.RangeTblEntry: _Writer.rte,
    parsetree.A_Const: _Writer.a_const,
    parsetree.A_Expr: _Writer.a_expr,
}


def write_node_tree(tree: Any, locations: bool = False) -> str:
    """The text of a node, a list, or None. Stored trees are written without locations (nodeToString)."""
    writer = _Writer(locations)
    writer.node(tree)
    return "".join(writer.parts)


# Reading --------------------------------------------------------------------------------------------------------------

_UNESCAPE = re.compile(r"\\(.)", re.S)


def _plain(token: str) -> str:
    return _UNESCAPE.sub(r"\1", token) if "\\" in token else token


def _bad(what: str) -> SqlError:
    return SqlError(errcode.INTERNAL_ERROR, f"malformed node tree: {what}")


class _Reader:
    """Walks the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        self.place = 0

    def next(self) -> str:
        try:
            token = self.tokens[self.place]
        except IndexError:
            raise _bad("it ends early") from None
        self.place += 1
        return token  # type: ignore[no-any-return]

    def node(self) -> Any:
        token = self.next()
        first = token[0]
        if first == "{":
            return self.struct()
        if first == "(":
            return self.list()
        if token == "<>":
            return None
        if first == '"':
            return literals.String(sval=_plain(token[1:-1]))
        if token in ("true", "false"):
            return literals.Boolean(boolval=token == "true")
        if first in "bx":
            return literals.BitString(bsval=_plain(token))
        if first.isdigit() or first in "+-.":
            try:
                number = int(token)
            except ValueError:
                return literals.Float(fval=token)
            return literals.Integer(ival=number) if -(2**31) <= number < 2**31 else literals.Float(fval=token)
        raise _bad(f'unexpected "{token}"')

    def list(self) -> Any:
        token = self.tokens[self.place]
        if token in ("i", "o", "x", "b"):
            self.place += 1
            numbers = []
            while (word := self.next()) != ")":
                numbers.append(int(word))
            return frozenset(numbers) if token == "b" else numbers
        items = []
        while self.tokens[self.place] != ")":
            items.append(self.node())
        self.place += 1
        return items

    def struct(self) -> Any:
        label = self.next()
        kind = _CLASSES.get(label)
        if kind is None:
            raise _bad(f'unknown node "{label}"')
        if kind is primitives.Const:
            return self.const()
        if kind is primitives.BoolExpr:
            return self.bool_expr()
        node = _new(kind)
        for name, field, _ in kind.FIELDS:
            setattr(node, name, _default(field))
        by_label = _shape(kind).by_label
        while (token := self.next()) != "}":
            found = by_label.get(token)
            if found is None:
                if kind is parsetree.A_Const and token == "NULL":
                    node.isnull = True
                elif kind is parsetree.A_Expr and token in _A_EXPR_KINDS:
                    node.kind = _A_EXPR_KINDS[token]
                else:
                    raise _bad(f'{label} has no field "{token}"')
            else:
                setattr(node, found[0], self.value(found[1]))
        return node

    def value(self, field: str) -> Any:
        if field == "node":
            return self.node()
        if field.startswith("list"):
            found = self.node()
            return [] if found is None else found
        if field == "bitmap":
            found = self.node()
            return frozenset() if found is None else found
        if field.startswith("array:"):
            token = self.next()
            if token == "<>":
                return []
            items = []
            while (word := self.next()) != ")":
                items.append(word == "true" if field == "array:bool" else int(word))
            return items
        token = self.next()
        if field in ("int", "uint", "oid", "location"):
            return int(token)
        if field == "bool":
            return token == "true"
        if field == "string":
            if token == "<>":
                return None
            return "" if token == '""' else _plain(token)
        if field.startswith("enum:"):
            return _enum(field)(int(token))
        if field == "char":
            return "\0" if token == "<>" else _plain(token)[0]
        if field == "float":
            return float(token)
        raise _bad(f"a field of kind {field}")

    def const(self) -> primitives.Const:
        values: dict[str, Any] = {}
        by_label = _shape(primitives.Const).by_label
        data: bytes | None = None
        while (token := self.next()) != "}":
            if token == ":constvalue":
                if self.next() == "<>":
                    continue
                self.next()
                numbers = []
                while (word := self.next()) != "]":
                    numbers.append(int(word) & 255)
                data = bytes(numbers)
            else:
                name, field = by_label[token]
                values[name] = self.value(field)
        node = primitives.Const(**values)
        if data is not None:
            node.constvalue = datum_value(node.consttype, node.constlen, node.constbyval, data)
        return node

    def bool_expr(self) -> primitives.BoolExpr:
        node = primitives.BoolExpr()
        while (token := self.next()) != "}":
            if token == ":boolop":
                word = self.next()
                node.boolop = {"and": enums.AND_EXPR, "or": enums.OR_EXPR, "not": enums.NOT_EXPR}[word]
            elif token == ":args":
                node.args = self.value("list")
            else:
                node.location = int(self.next())
        return node


_ZEROES: dict[str, Any] = {
    "int": 0,
    "uint": 0,
    "oid": 0,
    "bool": False,
    "char": "\0",
    "float": 0.0,
    "location": -1,
    "string": None,
    "node": None,
    "bitmap": frozenset(),
    "datum": None,
}


def _enum(field: str) -> type[IntEnum]:
    kind: type[IntEnum] = getattr(enums, field[5:])
    return kind


def _default(field: str) -> Any:
    if field.startswith(("list", "array")):
        return []
    if field.startswith("enum:"):
        members = list(_enum(field))
        return next((member for member in members if member == 0), members[0])
    return _ZEROES[field]


def read_node_tree(text: str) -> Any:
    """The node, list or None that a text stands for (stringToNode); XX000 when it is malformed."""
    reader = _Reader(text)
    tree = reader.node()
    if reader.place != len(reader.tokens):
        raise _bad("something follows it")
    return tree
