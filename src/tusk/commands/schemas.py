"""CREATE SCHEMA (schemacmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment
from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.namespace import get_namespace_oid
from tusk.catalog.session import session
from tusk.catalog.tempschema import create_namespace
from tusk.commands.role_names import role_of
from tusk.commands.utility import UtilityContext, process_utility, utility
from tusk.config import Action, Context, Source, set_option, settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.nodes import RangeVar


@utility("CreateSchemaStmt")
def create_schema(statement: Any, context: UtilityContext) -> None:
    """CREATE SCHEMA, its elements included (CreateSchemaCommand)."""
    saved_user, saved_context = session.current_user_id, session.security_context
    owner = role_of(statement.authrole) if statement.authrole is not None else saved_user
    name = statement.schemaname or acl.role_name(owner)
    acl.require_privilege(oa.DATABASE, session.database_id, acl.ACL_CREATE)
    acl.check_can_set_role(saved_user, owner)
    if name.startswith("pg_") and not settings.allow_system_table_mods:
        raise SqlError(
            errcode.RESERVED_NAME, f'unacceptable schema name "{name}"',
            detail='The prefix "pg_" is reserved for system schemas.',
        )
    if statement.if_not_exists and get_namespace_oid(name, True):
        report(Severity.NOTICE, f'schema "{name}" already exists, skipping', sqlstate=errcode.DUPLICATE_SCHEMA)
        return
    if get_namespace_oid(name, True):
        raise SqlError(errcode.DUPLICATE_SCHEMA, f'schema "{name}" already exists')
    if owner != saved_user:
        session.set_user_and_context(owner, saved_context | 1)
    try:
        create_namespace(name, owner)
        command_counter_increment()
        if statement.schemaElts:
            _create_elements(name, statement.schemaElts, context)
    finally:
        session.set_user_and_context(saved_user, saved_context)


def _create_elements(name: str, elements: list[Any], context: UtilityContext) -> None:
    """The statements inside CREATE SCHEMA, tables before what needs them (transformCreateSchemaStmtElements)."""
    order = {"CreateSeqStmt": 0, "CreateStmt": 1, "ViewStmt": 2, "IndexStmt": 3, "CreateTrigStmt": 4, "GrantStmt": 5}
    old = str(settings.search_path)
    path = quote_identifier(name) + (f", {old}" if old.strip() else "")
    set_option("search_path", path, Context.USERSET, Source.SESSION, Action.SET)
    try:
        for element in sorted(elements, key=lambda e: order[type(e).__name__]):
            relation = getattr(element, "relation", None) or getattr(element, "view", None) or getattr(
                element, "sequence", None
            )
            if isinstance(relation, RangeVar):
                if relation.schemaname is None:
                    relation.schemaname = name
                elif relation.schemaname != name:
                    raise SqlError(
                        errcode.INVALID_SCHEMA_DEFINITION,
                        f"CREATE specifies a schema ({relation.schemaname}) different from the one being created "
                        f"({name})",
                    )
            process_utility(element, context)
            command_counter_increment()
    finally:
        set_option("search_path", old, Context.USERSET, Source.SESSION, Action.SET)
