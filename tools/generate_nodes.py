"""Write the node classes of src/tusk/sql/nodes from PostgreSQL 18's header files.

Class names, field names, field order and enum values are the server's; the code around them is ours. Each class is
spelled out (slots, ``__init__``, a field table) instead of being a dataclass: creating 400 dataclasses costs a
fifth of a second at every start, importing these from their bytecode a few milliseconds.

Usage: python tools/generate_nodes.py INCLUDE_SERVER_DIR
"""

import keyword
import re
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "src/tusk/sql/nodes"
STRUCT_HEADERS = {
    "literals": "nodes/value.h",
    "primitives": "nodes/primnodes.h",
    "parsetree": "nodes/parsenodes.h",
    "plantree": "nodes/plannodes.h",
}
ENUM_HEADERS = ["nodes/nodes.h", "nodes/lockoptions.h", "access/sdir.h", "access/cmptype.h", *STRUCT_HEADERS.values()]
CONSTANT_HEADERS = ["nodes/nodes.h", *STRUCT_HEADERS.values()]

# Structs of these headers that are no nodes, or exist only inside the C executor.
SKIPPED = {"CreateForeignTableStmt", "ExtensibleNode", "ForeignKeyCacheInfo", "PartitionPruneInfoData", "Node"}
# Lists of OIDs; every other list of plain integers is a list of ints.
OID_LISTS = {
    "coltypes", "colcollations", "opnos", "opfamilies", "inputcollids", "colTypes", "colCollations", "ctecoltypes",
    "ctecolcollations", "funccoltypes", "funccolcollations", "relationOids", "constraintDeps", "partitionOids",
    "indexcollations", "indexOids", "paramExecTypes", "hashoperators", "hashcollations", "mergeFamilies",
    "aggargtypes",
}
INT_LISTS = {
    "refs", "cols", "content", "joinleftcols", "joinrightcols", "coltypmods", "colTypmods", "ctecoltypmods",
    "funccoltypmods", "setParam", "parParam", "paramIds", "resultRelations", "rewindPlanIDs",
    "updateColnosLists", "resultRelIndexes", "fdwPrivLists", "arbiterIndexes", "onConflictCols", "extParams",
    "relids", "attnos", "attnums", "selectedCols", "fieldnums", "updateColnos",
}
SCALARS = {
    "int": "int", "int16": "int", "int32": "int", "int64": "int", "bits32": "uint", "uint8": "uint", "uint16": "uint",
    "uint32": "uint", "uint64": "uint", "AttrNumber": "int", "Index": "uint", "Oid": "oid", "bool": "bool",
    "char": "char", "double": "float", "Cost": "float", "Cardinality": "float", "Selectivity": "float",
    "ParseLoc": "location", "LOCKMODE": "int", "SubTransactionId": "uint", "RelFileNumber": "oid", "long": "int",
    "StrategyNumber": "int", "uint64_t": "uint", "AclMode": "uint", "RegProcedure": "oid", "TransactionId": "uint",
    "size_t": "uint", "BlockNumber": "uint", "LockTupleMode": "int", "ParseState": None, "Datum": "datum",
}
DEFAULTS = {
    "int": "0", "uint": "0", "oid": "0", "bool": "False", "char": '"\\x00"', "float": "0.0", "location": "-1",
    "string": "None", "node": "None", "bitmap": "frozenset()", "datum": "None",
}
ANNOTATIONS = {
    "int": "int", "uint": "int", "oid": "int", "bool": "bool", "char": "str", "float": "float", "location": "int",
    "string": "str | None", "node": "Any", "bitmap": "frozenset[int]", "datum": "Any",
}


def strip_comments(text: str) -> str:
    """Remove C comments, and join continued lines."""
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S).replace("\\\n", " ")


def parse_enums(text: str) -> dict[str, list[tuple[str, int]]]:
    """Return name -> [(member, value)] of the ``typedef enum`` declarations in stripped header text."""
    enums: dict[str, list[tuple[str, int]]] = {}
    for name, body in re.findall(r"typedef enum (\w+)\s*\{(.*?)\}\s*\w+\s*;", text, flags=re.S):
        if name == "NodeTag":
            continue
        members: list[tuple[str, int]] = []
        known: dict[str, int] = {}
        value = -1
        for item in body.split(","):
            item = re.sub(r"pg_node_attr\([^)]*\)", "", item).strip()
            if not item or item.startswith("#"):
                continue
            label, _, expression = (part.strip() for part in item.partition("="))
            value = evaluate(expression, known) if expression else value + 1
            known[label] = value
            members.append((label, value))
        enums[name] = members
    return enums


def evaluate(expression: str, known: dict[str, int]) -> int:
    """The value of an enum member's constant expression; a character constant counts as its code."""
    without_suffixes = re.sub(r"\d+U?L*\b", lambda match: match.group().rstrip("UL"), expression)
    value = eval(without_suffixes, {"__builtins__": {}}, {**known, **DEFINED})
    return ord(value) if isinstance(value, str) else int(value)


DEFINED: dict[str, int] = {"PG_INT32_MAX": 2**31 - 1, "SIZEOF_DATUM": 8}


def parse_constants(text: str) -> dict[str, int]:
    """Return the plain integer macros of stripped header text."""
    for name, expression in re.findall(r"^#define[ \t]+([A-Z]\w+)[ \t]+([^\n\\]+)$", text, flags=re.M):
        expression = re.sub(r"(?<=\d)U?L*\b", "", expression.strip())
        try:
            value = eval(expression, {"__builtins__": {}}, DEFINED)
        except (NameError, SyntaxError, TypeError):
            continue
        if isinstance(value, int):
            DEFINED[name] = value
    return DEFINED


def split_attrs(declaration: str) -> tuple[str, list[str]]:
    """Separate ``pg_node_attr(...)`` from a declaration; return (declaration, attributes)."""
    found: list[str] = []

    def take(match: re.Match[str]) -> str:
        depth, part = 0, ""
        for char in match.group(1):
            if char == "," and depth == 0:
                found.append(part.strip())
                part = ""
                continue
            depth += (char == "(") - (char == ")")
            part += char
        found.append(part.strip())
        return ""

    return re.sub(r"pg_node_attr\(((?:[^()]|\([^()]*\))*)\)", take, declaration).strip(), found


def parse_structs(text: str) -> list[tuple[str, str | None, list[str], list[tuple[str, str, str, list[str]]]]]:
    """Return (name, base, attributes, [(field, ctype, stars, attributes)]) for each struct of stripped text."""
    structs = []
    for name, body in re.findall(r"typedef struct (\w+)\s*\{(.*?)\n\}\s*\w+\s*;", text, flags=re.S):
        base, own, fields = None, [], []
        body, attrs = split_attrs_leading(body)
        own.extend(attrs)
        for i, declaration in enumerate(d.strip() for d in body.split(";")):
            declaration, field_attrs = split_attrs(declaration)
            declaration = re.sub(r"\bstruct\b|\bconst\b|\bunion\b", "", declaration).strip()
            match = re.match(r"(\w+)\s*(\**)\s*(\w+)(\[.*\])?$", " ".join(declaration.split()).replace("* ", "*"))
            if not match:
                continue
            ctype, stars, field, _ = match.groups()
            if ctype == "NodeTag":
                continue
            if not stars and i <= 1 and not fields and ctype not in SCALARS and ctype[0].isupper() and field in (
                "xpr", "plan", "scan", "join", "base"
            ):
                base = ctype
                continue
            if keyword.iskeyword(field):
                field += "_"         # def -> def_
            fields.append((field, ctype, stars, field_attrs))
        structs.append((name, base, own, fields))
    for name, twin in re.findall(r"^typedef (\w+) (\w+);", text, flags=re.M):
        for position, struct in enumerate(structs):
            if struct[0] == name and not twin.endswith("Stmt"):
                structs.insert(position + 1, (twin, *struct[1:]))
                break
    return structs


def split_attrs_leading(body: str) -> tuple[str, list[str]]:
    """Take a struct's own ``pg_node_attr`` (a line by itself before the fields) off its body."""
    match = re.match(r"\s*pg_node_attr\(((?:[^()]|\([^()]*\))*)\)\s*\n", body)
    if not match:
        return body, []
    return body[match.end():], [part.strip() for part in match.group(1).split(",")]


def kind_of(
    struct: str, field: str, ctype: str, stars: str, attrs: list[str], enums: set[str], structs: set[str]
) -> str | None:
    """Classify a C field; None for what has no counterpart here."""
    array = next((a for a in attrs if a.startswith("array_size")), None)
    if array is not None:
        return f"array:{SCALARS[ctype]}"
    if stars == "*" and ctype == "char":
        return "string"
    if stars == "*" and ctype == "Bitmapset":
        return "bitmap"
    if ctype == "Relids" and not stars:
        return "bitmap"
    if stars == "*" and ctype == "List":
        if (struct, field) in (("InsertStmt", "cols"), ("AccessPriv", "cols")):
            return "list"
        if field in OID_LISTS:
            return "list:oid"
        return "list:int" if field in INT_LISTS else "list"
    if stars == "*":
        return "node"
    if ctype in enums:
        return f"enum:{ctype}"
    if ctype in SCALARS:
        return SCALARS[ctype]
    if ctype in structs or ctype in ("ValUnion", "Alias"):
        return "node"
    return None


def main(include_dir: str) -> None:
    """Read the headers and write the modules."""
    texts = {h: strip_comments(Path(include_dir, h).read_text()) for h in {*ENUM_HEADERS, *CONSTANT_HEADERS}}
    for header in CONSTANT_HEADERS:
        parse_constants(texts[header])
    constants = dict(DEFINED)
    enums: dict[str, list[tuple[str, int]]] = {}
    for header in ENUM_HEADERS:
        enums.update(parse_enums(texts[header]))
    write_enums(enums, constants)
    parsed = {module: parse_structs(texts[header]) for module, header in STRUCT_HEADERS.items()}
    all_structs = {s[0] for structs in parsed.values() for s in structs}
    table = {s[0]: s for structs in parsed.values() for s in structs}
    for module, structs in parsed.items():
        write_structs(module, structs, set(enums), all_structs, table, enums)
    write_embedded([*parsed["primitives"], *parsed["parsetree"]], table)


def write_embedded(structs, table) -> None:  # type: ignore[no-untyped-def]
    """Write parse/embedded.py: the fields whose C type names one node class, so that JSON does not name it again."""
    lines = ['"""Fields of raw parse trees that hold one class of node. Generated by tools/generate_nodes.py."""', ""]
    lines += ["EMBEDDED: dict[tuple[str, str], str] = {"]
    for name, _, _, fields in structs:
        for field, ctype, stars, _ in fields:
            if stars == "*" and ctype in table and ctype not in ("Node", "Expr"):
                lines += [f'    ("{name}", "{field}"): "{ctype}",']
    lines += ["}"]
    Path(TARGET.parent, "parse/embedded.py").write_text("\n".join(lines) + "\n")


def write_enums(enums: dict[str, list[tuple[str, int]]], constants: dict[str, int]) -> None:
    """Write enums.py: an IntEnum each, members also at module level, and the integer macros."""
    lines = [
        '"""Enums and flag constants of PostgreSQL\'s node headers. Generated by tools/generate_nodes.py."""',
        "", "from enum import IntEnum", "",
    ]
    for name, members in enums.items():
        lines += ["", f"class {name}(IntEnum):"]
        lines += [f"    {label} = {value}" for label, value in members]
        lines += [""]
    for name, members in enums.items():
        lines += [f"{label} = {name}.{label}" for label, _ in members]
    lines += [""]
    lines += [f"{name} = {value}" for name, value in constants.items()]
    Path(TARGET, "enums.py").write_text("\n".join(lines) + "\n")


def write_structs(module, structs, enum_names, struct_names, table, enums) -> None:  # type: ignore[no-untyped-def]
    """Write one module of node classes."""

    def flat_fields(name):  # type: ignore[no-untyped-def]
        _, base, _, fields = table[name]
        return (flat_fields(base) if base in table else []) + fields

    imports = {
        "literals": [],
        "primitives": [],
        "parsetree": ["from tusk.sql.nodes.primitives import Expr"],
        "plantree": ["from tusk.sql.nodes.primitives import Expr"],
    }[module]
    lines = [
        f'"""Node classes of {STRUCT_HEADERS[module]}. Generated by tools/generate_nodes.py."""', "",
        "from __future__ import annotations", "", "from typing import Any, ClassVar", "",
        "from tusk.sql.nodes import enums", "from tusk.sql.nodes.base import FieldTable, Node",
        *imports, "",
    ]
    emitted = {"Expr"} if module in ("parsetree", "plantree") else set()
    pending = [s for s in structs if s[0] not in SKIPPED]
    for name, base, own, _ in pending:
        if any(a.startswith("nodetag_only") for a in own):
            continue
        parent = base if base in table else "Node"
        assert parent == "Node" or parent in emitted, (name, parent)
        emitted.add(name)
        fields, own_names = [], [f[0] for f in table[name][3]]
        for field, ctype, stars, attrs in flat_fields(name):
            kind = kind_of(name, field, ctype, stars, attrs, enum_names, struct_names)
            if kind is None:
                raise SystemExit(f"{name}.{field}: no kind for {ctype}{stars}")
            fields.append((field, kind, attrs))
        own = [field for field in fields if field[0] in own_names]
        lines += ["", f"class {name}({parent}):"]
        slots = [f'"{field}"' for field, _, _ in own]
        lines += wrapped("    __slots__ = (", slots, ",)" if len(slots) == 1 else ")")
        inherited = [f"*{parent}.FIELDS"] if len(own) < len(fields) else []
        rows = [f'("{field}", "{kind}", "{flags(attrs)}")' for field, kind, attrs in own]
        lines += wrapped("    FIELDS: ClassVar[FieldTable] = (", [*inherited, *rows], ",)")
        if fields:
            parameters = [f"{field}: {annotation(kind)} = {default(kind, enums)}" for field, kind, _ in fields]
            lines += ["", *wrapped("    def __init__(", ["self", "*", *parameters], ",) -> None:")]
            for field, kind, _ in fields:
                value = f"[] if {field} is None else {field}" if kind.startswith(("list", "array")) else field
                lines += [f"        self.{field} = {value}"]
        lines += [""]
    Path(TARGET, f"{module}.py").write_text("\n".join(lines) + "\n")


def flags(attrs: list[str]) -> str:
    """What of a field's attributes matters here."""
    return " ".join(a for a in attrs if a in ("equal_ignore", "read_write_ignore", "equal_ignore_if_zero"))


def wrapped(head: str, items: list[str], tail: str) -> list[str]:
    """``head items tail`` on one line if it fits, else the items filled into lines of their own."""
    whole = head + ", ".join(items) + tail
    if len(whole) <= 120 or not items:
        return [head + tail.lstrip(",")] if not items else [whole.replace(",) -> None", ") -> None")]
    lines, current = [head], " " * 7
    for item in items:
        if len(current) + len(item) + 2 > 120:
            lines.append(current)
            current = " " * 7
        current += f" {item},"
    return [*lines, current, "    " + tail.lstrip(",") + "  # fmt: skip"]


def annotation(kind: str) -> str:
    """The Python annotation of a field kind."""
    if kind.startswith("enum:"):
        return f"enums.{kind[5:]}"
    if kind.startswith(("list", "array")):
        return "list[Any] | None"
    return ANNOTATIONS[kind]


def default(kind: str, enums: dict[str, list[tuple[str, int]]]) -> str:
    """The Python default of a field kind: what makeNode's zeroed memory means."""
    if kind.startswith("enum:"):
        zero = [label for label, value in enums[kind[5:]] if value == 0]
        first = zero[0] if zero else enums[kind[5:]][0][0]
        return f"enums.{first}"
    if kind.startswith(("list", "array")):
        return "None"
    return DEFAULTS[kind]


if __name__ == "__main__":
    main(sys.argv[1])
