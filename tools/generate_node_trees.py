"""Write src/tusk/catalog/data/node_trees.json: the stored trees of system views, SQL functions and domain checks.

Usage: python tools/generate_node_trees.py

The SQL is Tusk's own (src/tusk/catalog/*.sql); it is parsed and analyzed by Tusk against the built-in facts, which
already hold the views' columns and OIDs. Where a view's columns come out with other names or types than the facts
say, it is reported, and the exit status is 1. initdb leaves out views that have no tree yet.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tusk.catalog.cache import PROCNAMEARGSNSP, RELNAMENSP, TYPENAMENSP, TYPEOID, lookup, scan_rows
from tusk.catalog.namespace import get_namespace_oid
from tusk.config import Context, Source, set_option
from tusk.errors import SqlError
from tusk.sql.analyze import analyze
from tusk.sql.analyze.coerce import coerce_to_boolean
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.typenames import type_name_oid
from tusk.sql.nodes import CoerceToDomainValue, RawStmt, enums
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.nodes.nodetext import write_node_tree
from tusk.sql.parse import parse

HOME = Path(__file__).parents[1] / "src/tusk/catalog"
SOURCES = ("system_views.sql", "information_schema.sql", "system_functions.sql")


def rules_by_relation() -> dict[int, int]:
    """Relation OID -> OID of its _RETURN rule, from the raw facts."""
    rows = json.loads((HOME / "data/pg_rewrite.json").read_text())
    return {row[2]: row[0] for row in rows if row[1] == "_RETURN"}


def view_oid(schema: str | None, name: str, default: int) -> int:
    """The OID the facts give a view, 0 if they know none."""
    row = lookup(RELNAMENSP, name, get_namespace_oid(schema, False) if schema else default)
    return 0 if row is None else row.oid


def check_columns(name: str, oid: int, query: Any, aliases: list[str]) -> list[str]:
    """What differs between the analyzed view and the facts about its columns."""
    facts = sorted((row for row in scan_rows("pg_attribute", attrelid=oid) if row.attnum > 0), key=lambda r: r.attnum)
    entries = [entry for entry in query.targetList if not entry.resjunk]
    problems = []
    if len(facts) != len(entries):
        problems.append(f"{name}: {len(entries)} columns instead of {len(facts)}")
    for i, (fact, entry) in enumerate(zip(facts, entries, strict=False)):
        column = aliases[i] if i < len(aliases) else entry.resname
        kind = expr_type(entry.expr)
        if column != fact.attname:
            problems.append(f"{name}: column {i + 1} is {column}, should be {fact.attname}")
        if kind != fact.atttypid:
            problems.append(f"{name}.{fact.attname}: type {kind} instead of {fact.atttypid}")
    return problems


def generate() -> tuple[dict[str, dict[str, str]], list[str]]:
    """(trees by catalog and OID, problems)."""
    trees: dict[str, dict[str, str]] = {"pg_rewrite": {}, "pg_proc": {}, "pg_constraint": {}}
    problems: list[str] = []
    rules = rules_by_relation()
    for source in SOURCES:
        path = HOME / source
        if not path.exists():
            problems.append(f"{source} does not exist")
            continue
        schema = "information_schema" if source.startswith("information") else "pg_catalog"
        default = get_namespace_oid(schema, False)
        set_option("search_path", schema, Context.USERSET, Source.SESSION)
        text = path.read_text()
        for raw in parse(text):
            statement = raw.stmt
            kind = type(statement).__name__
            try:
                if kind == "ViewStmt":
                    name = statement.view.relname
                    oid = view_oid(statement.view.schemaname, name, default)
                    if not oid:
                        problems.append(f"view {name} is not among the facts")
                        continue
                    raw.stmt = statement.query
                    query = analyze(raw, text, [])
                    aliases = [item.sval for item in statement.aliases or []]
                    for entry, alias in zip([e for e in query.targetList if not e.resjunk], aliases, strict=False):
                        entry.resname = alias
                    problems += check_columns(name, oid, query, aliases)
                    trees["pg_rewrite"][str(rules[oid])] = write_node_tree([query])
                elif kind == "RuleStmt":
                    trees["pg_rewrite"][str(rule_oid(statement, default))] = rule_actions(statement)
                else:
                    add_other(statement, text, default, trees, problems)
            except (SqlError, NotImplementedError) as error:
                problems.append(f"{source}: {kind} {getattr(statement, 'view', statement)}: {error}"[:300])
    return trees, problems


def rule_oid(statement: Any, schema: int) -> int:
    """The OID the facts give a rule other than _RETURN."""
    relation = view_oid(statement.relation.schemaname, statement.relation.relname, schema)
    rows = json.loads((HOME / "data/pg_rewrite.json").read_text())
    return int(next(row[0] for row in rows if row[1] == statement.rulename and row[2] == relation))


def rule_actions(statement: Any) -> str:
    """The actions of a rule (transformRuleStmt): queries whose first two relations are OLD and NEW."""
    name = statement.relation.relname
    actions = [item.stmt if isinstance(item, RawStmt) else item for item in statement.actions]
    text = "SELECT"
    if actions:
        (select,) = actions
        select.fromClause = parse(f"SELECT FROM {name} old, {name} new")[0].stmt.fromClause
        query = analyze(RawStmt(stmt=select), text, [])
        query.jointree.fromlist = query.jointree.fromlist[:1]
    else:
        query = analyze(parse(f"SELECT FROM {name} old, {name} new")[0], text, [])
        query.commandType = enums.CMD_NOTHING
        query.jointree.fromlist = []
        query.targetList = []
    for entry in query.rtable:
        entry.inh = entry.inFromCl = False
    for info in query.rteperminfos:
        info.inh, info.requiredPerms, info.selectedCols = False, 0, frozenset()
    return write_node_tree([query])


def function_row(statement: Any, namespace: int) -> Any:
    """The pg_proc row that a CREATE FUNCTION statement is about, by name and input types."""
    name = statement.funcname[-1].sval
    if len(statement.funcname) > 1:
        namespace = get_namespace_oid(statement.funcname[0].sval, False)
    types = tuple(type_name_oid(None, parameter.argType) for parameter in statement.parameters or [])
    return lookup(PROCNAMEARGSNSP, name, types, namespace)


def transform_domain_check(expression: Any, text: str, domain: Any) -> Any:
    """A CHECK of a domain, VALUE standing for the value tested."""
    base = lookup(TYPEOID, domain.typbasetype)

    def value(_state: Any, reference: Any) -> Any:
        if len(reference.fields) == 1 and reference.fields[0].sval == "value":
            return CoerceToDomainValue(
                typeId=base.oid, typeMod=domain.typtypmod, collation=base.typcollation, location=reference.location
            )
        return None

    state = ParseState(None, text)
    state.pre_columnref_hook = value
    check = coerce_to_boolean(state, transform_expr(state, expression, ExprKind.DOMAIN_CHECK), "CHECK")
    assign_expr_collations(state, check)
    return check


def add_other(statement: Any, text: str, namespace: int, trees: dict[str, dict[str, str]], problems: list[str]) -> None:
    """SQL function bodies and domain checks."""
    match type(statement).__name__:
        case "CreateFunctionStmt":
            row = function_row(statement, namespace)
            if row is None:
                problems.append(f"function {statement.funcname[-1].sval} is not among the facts")
                return
            body = statement.sql_body
            if isinstance(body, list):
                queries = [analyze(RawStmt(stmt=one), text, list(row.proargtypes)) for one in body[0]]
                trees["pg_proc"][str(row.oid)] = write_node_tree([queries])
            else:
                query = analyze(RawStmt(stmt=body), text, list(row.proargtypes))
                trees["pg_proc"][str(row.oid)] = write_node_tree(query)
        case "CreateDomainStmt":
            domain = lookup(TYPENAMENSP, statement.domainname[-1].sval, namespace)
            facts = json.loads((HOME / "data/pg_constraint.json").read_text())
            for constraint in statement.constraints or []:
                if constraint.contype.name == "CONSTR_CHECK":
                    oid = next(row[0] for row in facts if row[1] == constraint.conname)
                    tree = transform_domain_check(constraint.raw_expr, text, domain)
                    trees["pg_constraint"][str(oid)] = write_node_tree(tree)
        case kind:
            problems.append(f"{kind} is not expected")


def main() -> int:
    """Generate, write, report."""
    trees, problems = generate()
    lines = []
    for catalog, by_oid in trees.items():
        inner = ",\n".join(f'"{oid}":{json.dumps(by_oid[oid])}' for oid in sorted(by_oid, key=int))
        lines.append(f'"{catalog}":{{\n{inner}\n}}')
    (HOME / "data/node_trees.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
