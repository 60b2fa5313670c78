"""XML and JSON: their expressions, XMLTABLE and JSON_TABLE."""

from __future__ import annotations

import re
from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.calls import write_aggregate, write_window_function
from tusk.sql.deparse.constants import write_constant
from tusk.sql.deparse.expressions import is_string_category
from tusk.sql.deparse.namespaces import column_name
from tusk.sql.deparse.writer import INDENT_VAR, Deparser, emits
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import (
    Aggref,
    Const,
    JsonConstructorExpr,
    JsonExpr,
    JsonIsPredicate,
    JsonTablePathScan,
    JsonValueExpr,
    TableFunc,
    XmlExpr,
)

BOOLOID, JSONBOID = 16, 3802

# XML

_XML_OPENINGS = {
    enums.IS_XMLCONCAT: "XMLCONCAT(",
    enums.IS_XMLELEMENT: "XMLELEMENT(",
    enums.IS_XMLFOREST: "XMLFOREST(",
    enums.IS_XMLPARSE: "XMLPARSE(",
    enums.IS_XMLPI: "XMLPI(",
    enums.IS_XMLROOT: "XMLROOT(",
    enums.IS_XMLSERIALIZE: "XMLSERIALIZE(",
    enums.IS_DOCUMENT: "",
}
_STANDALONE = {0: ", STANDALONE YES", 1: ", STANDALONE NO", 2: ", STANDALONE NO VALUE"}


def sql_name_of_xml(name: str) -> str:
    """An XML name with its ``_xHHHH_`` escapes undone (map_xml_name_to_sql_identifier)."""
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match.group(1), 16)), name)


@emits(XmlExpr)
def _xml(d: Deparser, node: Any, show_implicit: bool) -> None:
    op = node.op
    d.put(_XML_OPENINGS[op])
    comma = ""
    if op in (enums.IS_XMLPARSE, enums.IS_XMLSERIALIZE):
        d.put("DOCUMENT " if node.xmloption == enums.XMLOPTION_DOCUMENT else "CONTENT ")
    if node.name:
        d.put(f"NAME {quote_identifier(sql_name_of_xml(node.name))}")
        comma = ", "
    if node.named_args:
        if op != enums.IS_XMLFOREST:
            d.put(comma + "XMLATTRIBUTES(")
        for number, (value, name) in enumerate(zip(node.named_args, node.arg_names, strict=True)):
            d.put(", " if number else "")
            d.expression(value, True)
            d.put(f" AS {quote_identifier(sql_name_of_xml(column_name(name)))}")
        d.put(")" if op != enums.IS_XMLFOREST else "")
        comma = ", "
    if node.args:
        d.put(comma)
        if op == enums.IS_XMLPARSE:
            d.expression(node.args[0], True)
            d.put(" PRESERVE WHITESPACE" if node.args[1].constvalue else " STRIP WHITESPACE")
        elif op == enums.IS_XMLROOT:
            document, version, standalone = node.args
            d.expression(document, True)
            d.put(", VERSION ")
            if type(version) is Const and version.constisnull:
                d.put("NO VALUE")
            else:
                d.expression(version, False)
            if not standalone.constisnull:
                d.put(_STANDALONE.get(standalone.constvalue, ""))
        elif op == enums.IS_DOCUMENT:
            d.operand(node.args[0], False, node)
        else:
            d.expression(node.args, True)
    if op == enums.IS_XMLSERIALIZE:
        d.put(f" AS {nm.type_text(node.type, node.typmod)}{' INDENT' if node.indent else ' NO INDENT'}")
    d.put(" IS DOCUMENT" if op == enums.IS_DOCUMENT else ")")


# JSON


def _format(form: Any) -> str:
    if form is None or form.format_type == enums.JS_FORMAT_DEFAULT:
        return ""
    text = " FORMAT JSONB" if form.format_type == enums.JS_FORMAT_JSONB else " FORMAT JSON"
    encodings = {enums.JS_ENC_UTF8: "UTF8", enums.JS_ENC_UTF16: "UTF16", enums.JS_ENC_UTF32: "UTF32"}
    if form.encoding != enums.JS_ENC_DEFAULT:
        text += f" ENCODING {encodings[form.encoding]}"
    return text


def _returning(returning: Any, json_by_default: bool) -> str:
    if not returning.typid:
        return ""
    text = f" RETURNING {nm.type_text(returning.typid, returning.typmod)}"
    own = enums.JS_FORMAT_JSONB if returning.typid == JSONBOID else enums.JS_FORMAT_JSON
    if not json_by_default or returning.format.format_type != own:
        text += _format(returning.format)
    return text


@emits(JsonValueExpr)
def _json_value(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.expression(node.raw_expr, False)
    d.put(_format(node.format))


_CONSTRUCTORS = {
    enums.JSCTOR_JSON_OBJECT: "JSON_OBJECT",
    enums.JSCTOR_JSON_ARRAY: "JSON_ARRAY",
    enums.JSCTOR_JSON_PARSE: "JSON",
    enums.JSCTOR_JSON_SCALAR: "JSON_SCALAR",
    enums.JSCTOR_JSON_SERIALIZE: "JSON_SERIALIZE",
}


def _constructor_options(node: Any) -> str:
    text = ""
    if node.type in (enums.JSCTOR_JSON_OBJECT, enums.JSCTOR_JSON_OBJECTAGG):
        text += " ABSENT ON NULL" if node.absent_on_null else ""
    elif node.type in (enums.JSCTOR_JSON_ARRAY, enums.JSCTOR_JSON_ARRAYAGG):
        text += "" if node.absent_on_null else " NULL ON NULL"
    text += " WITH UNIQUE KEYS" if node.unique else ""
    if node.type not in (enums.JSCTOR_JSON_PARSE, enums.JSCTOR_JSON_SCALAR):
        text += _returning(node.returning, True)
    return text


@emits(JsonConstructorExpr)
def _json_constructor(d: Deparser, node: Any, show_implicit: bool) -> None:
    options = _constructor_options(node)
    if node.type in (enums.JSCTOR_JSON_OBJECTAGG, enums.JSCTOR_JSON_ARRAYAGG):
        is_object = node.type == enums.JSCTOR_JSON_OBJECTAGG
        name, separator = ("JSON_OBJECTAGG", " : ") if is_object else ("JSON_ARRAYAGG", ", ")
        if type(node.func) is Aggref:
            write_aggregate(d, node.func, node.func, name, options, separator)
        else:
            write_window_function(d, node.func, name, options, separator)
        return
    d.put(_CONSTRUCTORS[node.type] + "(")
    is_object = node.type == enums.JSCTOR_JSON_OBJECT
    for number, arg in enumerate(node.args):
        if number:
            d.put(" : " if is_object and number % 2 else ", ")
        d.expression(arg, True)
    d.put(options + ")")


_JSON_KINDS = {
    enums.JS_TYPE_ANY: "",
    enums.JS_TYPE_OBJECT: " OBJECT",
    enums.JS_TYPE_ARRAY: " ARRAY",
    enums.JS_TYPE_SCALAR: " SCALAR",
}


@emits(JsonIsPredicate)
def _is_json(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    d.operand(node.expr, True, node)
    d.put(f" IS JSON{_JSON_KINDS[node.item_type]}{' WITH UNIQUE KEYS' if node.unique_keys else ''}")
    d.close_paren()


_BEHAVIORS = {
    enums.JSON_BEHAVIOR_NULL: "NULL",
    enums.JSON_BEHAVIOR_ERROR: "ERROR",
    enums.JSON_BEHAVIOR_EMPTY: "EMPTY",
    enums.JSON_BEHAVIOR_TRUE: "TRUE",
    enums.JSON_BEHAVIOR_FALSE: "FALSE",
    enums.JSON_BEHAVIOR_UNKNOWN: "UNKNOWN",
    enums.JSON_BEHAVIOR_EMPTY_ARRAY: "EMPTY ARRAY",
    enums.JSON_BEHAVIOR_EMPTY_OBJECT: "EMPTY OBJECT",
    enums.JSON_BEHAVIOR_DEFAULT: "DEFAULT ",
}


def _behavior(d: Deparser, behavior: Any, on: str) -> None:
    d.put(" " + _BEHAVIORS[behavior.btype])
    if behavior.btype == enums.JSON_BEHAVIOR_DEFAULT:
        d.expression(behavior.expr, False)
    d.put(f" ON {on}")


def _path(d: Deparser, path: Any) -> None:
    if type(path) is Const:
        write_constant(d, path, -1)
    else:
        d.expression(path, False)


def _query_options(d: Deparser, node: Any, default: int) -> None:
    if node.op == enums.JSON_QUERY_OP:
        if node.wrapper == enums.JSW_CONDITIONAL:
            d.put(" WITH CONDITIONAL WRAPPER")
        elif node.wrapper == enums.JSW_UNCONDITIONAL:
            d.put(" WITH UNCONDITIONAL WRAPPER")
        else:
            d.put(" WITHOUT WRAPPER")
        d.put(" OMIT QUOTES" if node.omit_quotes else " KEEP QUOTES")
    if node.on_empty is not None and node.on_empty.btype != default:
        _behavior(d, node.on_empty, "EMPTY")
    if node.on_error is not None and node.on_error.btype != default:
        _behavior(d, node.on_error, "ERROR")


@emits(JsonExpr)
def _json_query(d: Deparser, node: Any, show_implicit: bool) -> None:
    openings = {
        enums.JSON_QUERY_OP: "JSON_QUERY(",
        enums.JSON_VALUE_OP: "JSON_VALUE(",
        enums.JSON_EXISTS_OP: "JSON_EXISTS(",
    }
    d.put(openings[node.op])
    d.expression(node.formatted_expr, show_implicit)
    d.put(", ")
    _path(d, node.path_spec)
    if node.passing_values:
        d.put(" PASSING ")
        for number, (name, value) in enumerate(zip(node.passing_names, node.passing_values, strict=True)):
            d.put(", " if number else "")
            d.expression(value, show_implicit)
            d.put(f" AS {quote_identifier(column_name(name))}")
    if node.op != enums.JSON_EXISTS_OP or node.returning.typid != BOOLOID:
        d.put(_returning(node.returning, node.op == enums.JSON_QUERY_OP))
    is_exists = node.op == enums.JSON_EXISTS_OP
    _query_options(d, node, enums.JSON_BEHAVIOR_FALSE if is_exists else enums.JSON_BEHAVIOR_NULL)
    d.put(")")


# Tables from documents


@emits(TableFunc)
def _table_function(d: Deparser, node: Any, show_implicit: bool) -> None:
    if node.functype == enums.TFT_XMLTABLE:
        _xml_table(d, node, show_implicit)
    else:
        _json_table(d, node, show_implicit)


def _xml_table(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("XMLTABLE(")
    if node.ns_uris:
        d.put("XMLNAMESPACES (")
        for number, (uri, name) in enumerate(zip(node.ns_uris, node.ns_names, strict=True)):
            d.put(", " if number else "")
            if name is None:
                d.put("DEFAULT ")
            d.expression(uri, show_implicit)
            if name is not None:
                d.put(f" AS {quote_identifier(column_name(name))}")
        d.put("), ")
    d.put("(")
    d.expression(node.rowexpr, show_implicit)
    d.put(") PASSING (")
    d.expression(node.docexpr, show_implicit)
    d.put(")")
    for number, name in enumerate(node.colnames):
        d.put(", " if number else " COLUMNS ")
        d.put(quote_identifier(column_name(name)))
        if number == node.ordinalitycol:
            d.put(" FOR ORDINALITY")
            continue
        d.put(" " + nm.type_text(node.coltypes[number], node.coltypmods[number]))
        for word, expr in ((" DEFAULT (", node.coldefexprs[number]), (" PATH (", node.colexprs[number])):
            if expr is not None:
                d.put(word)
                d.expression(expr, show_implicit)
                d.put(")")
        d.put(" NOT NULL" if number in node.notnulls else "")
    d.put(")")


def _json_table(d: Deparser, node: Any, show_implicit: bool) -> None:
    source, root = node.docexpr, node.plan
    deeper = INDENT_VAR if d.pretty_indent else 0
    d.put("JSON_TABLE(")
    d.indent += deeper
    d.keyword("", 0, 0, 0)
    d.expression(source.formatted_expr, show_implicit)
    d.put(", ")
    write_constant(d, root.path.value, -1)
    d.put(f" AS {quote_identifier(root.path.name)}")
    if source.passing_values:
        d.put(" ")
        d.keyword("PASSING ", 0, 0, 0)
        d.indent += deeper
        for number, (name, value) in enumerate(zip(source.passing_names, source.passing_values, strict=True)):
            d.put(", " if number else "")
            d.keyword("", 0, 0, 0)
            d.expression(value, False)
            d.put(f" AS {quote_identifier(column_name(name))}")
        d.indent -= deeper
    _json_columns(d, node, root, show_implicit)
    if source.on_error.btype != enums.JSON_BEHAVIOR_EMPTY_ARRAY:
        _behavior(d, source.on_error, "ERROR")
    d.indent -= deeper
    d.keyword(")", 0, 0, 0)


def _json_columns(d: Deparser, node: Any, scan: Any, show_implicit: bool) -> None:
    deeper = INDENT_VAR if d.pretty_indent else 0
    d.put(" ")
    d.keyword("COLUMNS (", 0, 0, 0)
    d.indent += deeper
    first = True
    for number in range(scan.colMin, scan.colMax + 1) if scan.colMin >= 0 else ():
        d.put("" if first else ", ")
        first = False
        d.keyword("", 0, 0, 0)
        d.put(quote_identifier(column_name(node.colnames[number])))
        expr = node.colvalexprs[number]
        if expr is None:
            d.put(" FOR ORDINALITY")
            continue
        d.put(f" {nm.type_text(node.coltypes[number], node.coltypmods[number])}")
        default = enums.JSON_BEHAVIOR_NULL
        if expr.op == enums.JSON_EXISTS_OP:
            d.put(" EXISTS")
            default = enums.JSON_BEHAVIOR_FALSE
        elif expr.op == enums.JSON_QUERY_OP and is_string_category(node.coltypes[number]):
            d.put(" FORMAT JSONB" if expr.format.format_type == enums.JS_FORMAT_JSONB else " FORMAT JSON")
        d.put(" PATH ")
        _path(d, expr.path_spec)
        _query_options(d, expr, default)
    if scan.child is not None:
        _nested_columns(d, node, scan.child, show_implicit, not first)
    d.indent -= deeper
    d.keyword(")", 0, 0, 0)


def _nested_columns(d: Deparser, node: Any, plan: Any, show_implicit: bool, comma: bool) -> None:
    if isinstance(plan, JsonTablePathScan):
        d.put(", " if comma else "")
        d.put(" ")
        d.keyword("NESTED PATH ", 0, 0, 0)
        write_constant(d, plan.path.value, -1)
        d.put(f" AS {quote_identifier(plan.path.name)}")
        _json_columns(d, node, plan, show_implicit)
        return
    _nested_columns(d, node, plan.lplan, show_implicit, comma)
    _nested_columns(d, node, plan.rplan, show_implicit, True)
