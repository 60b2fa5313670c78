"""Command tags: the words CommandComplete and the process title show for a statement (tcop/cmdtaglist.h)."""

from __future__ import annotations

from tusk.sql.execute.permissions import plan_tag
from tusk.sql.nodes import Node, PlannedStmt, Query, RawStmt, enums

_OBJECT_WORDS = {
    "OBJECT_ACCESS_METHOD": "ACCESS METHOD", "OBJECT_AGGREGATE": "AGGREGATE", "OBJECT_CAST": "CAST",
    "OBJECT_COLLATION": "COLLATION", "OBJECT_CONVERSION": "CONVERSION", "OBJECT_DATABASE": "DATABASE",
    "OBJECT_DOMAIN": "DOMAIN", "OBJECT_EVENT_TRIGGER": "EVENT TRIGGER", "OBJECT_EXTENSION": "EXTENSION",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER", "OBJECT_FOREIGN_SERVER": "SERVER", "OBJECT_FOREIGN_TABLE": "FOREIGN TABLE",
    "OBJECT_FUNCTION": "FUNCTION", "OBJECT_INDEX": "INDEX", "OBJECT_LANGUAGE": "LANGUAGE",
    "OBJECT_LARGEOBJECT": "LARGE OBJECT", "OBJECT_MATVIEW": "MATERIALIZED VIEW", "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPERATOR": "OPERATOR", "OBJECT_OPFAMILY": "OPERATOR FAMILY", "OBJECT_POLICY": "POLICY",
    "OBJECT_PROCEDURE": "PROCEDURE", "OBJECT_PUBLICATION": "PUBLICATION", "OBJECT_ROLE": "ROLE",
    "OBJECT_ROUTINE": "ROUTINE", "OBJECT_RULE": "RULE", "OBJECT_SCHEMA": "SCHEMA", "OBJECT_SEQUENCE": "SEQUENCE",
    "OBJECT_STATISTIC_EXT": "STATISTICS", "OBJECT_SUBSCRIPTION": "SUBSCRIPTION", "OBJECT_TABLE": "TABLE",
    "OBJECT_TABLESPACE": "TABLESPACE", "OBJECT_TRANSFORM": "TRANSFORM", "OBJECT_TRIGGER": "TRIGGER",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION", "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "OBJECT_TSPARSER": "TEXT SEARCH PARSER", "OBJECT_TSTEMPLATE": "TEXT SEARCH TEMPLATE", "OBJECT_TYPE": "TYPE",
    "OBJECT_VIEW": "VIEW", "OBJECT_COLUMN": "TABLE", "OBJECT_TABCONSTRAINT": "TABLE", "OBJECT_ATTRIBUTE": "TYPE",
    "OBJECT_DOMCONSTRAINT": "DOMAIN",
}  # fmt: skip

_TAGS = {
    "AlterDatabaseStmt": "ALTER DATABASE", "AlterDatabaseRefreshCollStmt": "ALTER DATABASE",
    "AlterDatabaseSetStmt": "ALTER DATABASE", "AlterDefaultPrivilegesStmt": "ALTER DEFAULT PRIVILEGES",
    "AlterDomainStmt": "ALTER DOMAIN", "AlterEnumStmt": "ALTER TYPE", "AlterFunctionStmt": "ALTER FUNCTION",
    "AlterOpFamilyStmt": "ALTER OPERATOR FAMILY", "AlterRoleSetStmt": "ALTER ROLE", "AlterRoleStmt": "ALTER ROLE",
    "AlterSeqStmt": "ALTER SEQUENCE", "AlterStatsStmt": "ALTER STATISTICS", "AlterSystemStmt": "ALTER SYSTEM",
    "AlterTableSpaceOptionsStmt": "ALTER TABLESPACE", "AlterTypeStmt": "ALTER TYPE", "CallStmt": "CALL",
    "CheckPointStmt": "CHECKPOINT", "ClosePortalStmt": "CLOSE CURSOR", "ClusterStmt": "CLUSTER",
    "CommentStmt": "COMMENT", "CompositeTypeStmt": "CREATE TYPE", "ConstraintsSetStmt": "SET CONSTRAINTS",
    "CopyStmt": "COPY", "CreateAmStmt": "CREATE ACCESS METHOD", "CreateCastStmt": "CREATE CAST",
    "CreateConversionStmt": "CREATE CONVERSION", "CreateDomainStmt": "CREATE DOMAIN", "CreateEnumStmt": "CREATE TYPE",
    "CreateEventTrigStmt": "CREATE EVENT TRIGGER", "CreateExtensionStmt": "CREATE EXTENSION",
    "CreateOpClassStmt": "CREATE OPERATOR CLASS", "CreateOpFamilyStmt": "CREATE OPERATOR FAMILY",
    "CreatePLangStmt": "CREATE LANGUAGE", "CreatePolicyStmt": "CREATE POLICY",
    "CreatePublicationStmt": "CREATE PUBLICATION", "CreateRangeStmt": "CREATE TYPE", "CreateRoleStmt": "CREATE ROLE",
    "CreateSchemaStmt": "CREATE SCHEMA", "CreateSeqStmt": "CREATE SEQUENCE", "CreateStatsStmt": "CREATE STATISTICS",
    "CreateStmt": "CREATE TABLE", "CreateSubscriptionStmt": "CREATE SUBSCRIPTION",
    "CreateTableSpaceStmt": "CREATE TABLESPACE", "CreateTransformStmt": "CREATE TRANSFORM",
    "CreateTrigStmt": "CREATE TRIGGER", "CreatedbStmt": "CREATE DATABASE", "DeallocateStmt": "DEALLOCATE",
    "DeclareCursorStmt": "DECLARE CURSOR", "DoStmt": "DO", "DropOwnedStmt": "DROP OWNED", "DropRoleStmt": "DROP ROLE",
    "DropSubscriptionStmt": "DROP SUBSCRIPTION", "DropTableSpaceStmt": "DROP TABLESPACE", "DropdbStmt": "DROP DATABASE",
    "ExecuteStmt": "EXECUTE", "ExplainStmt": "EXPLAIN", "IndexStmt": "CREATE INDEX", "ListenStmt": "LISTEN",
    "LoadStmt": "LOAD", "LockStmt": "LOCK TABLE", "NotifyStmt": "NOTIFY", "PrepareStmt": "PREPARE",
    "ReassignOwnedStmt": "REASSIGN OWNED", "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW", "ReindexStmt": "REINDEX",
    "RuleStmt": "CREATE RULE", "SecLabelStmt": "SECURITY LABEL", "TruncateStmt": "TRUNCATE TABLE",
    "UnlistenStmt": "UNLISTEN", "VariableShowStmt": "SHOW", "ViewStmt": "CREATE VIEW", "InsertStmt": "INSERT",
    "DeleteStmt": "DELETE", "UpdateStmt": "UPDATE", "MergeStmt": "MERGE", "SelectStmt": "SELECT",
    "PLAssignStmt": "SELECT", "ReturnStmt": "SELECT", "AlterTSConfigurationStmt": "ALTER TEXT SEARCH CONFIGURATION",
}  # fmt: skip

_TRANSACTION_TAGS = {
    enums.TRANS_STMT_BEGIN: "BEGIN", enums.TRANS_STMT_START: "START TRANSACTION", enums.TRANS_STMT_COMMIT: "COMMIT",
    enums.TRANS_STMT_ROLLBACK: "ROLLBACK", enums.TRANS_STMT_ROLLBACK_TO: "ROLLBACK",
    enums.TRANS_STMT_SAVEPOINT: "SAVEPOINT", enums.TRANS_STMT_RELEASE: "RELEASE",
    enums.TRANS_STMT_PREPARE: "PREPARE TRANSACTION", enums.TRANS_STMT_COMMIT_PREPARED: "COMMIT PREPARED",
    enums.TRANS_STMT_ROLLBACK_PREPARED: "ROLLBACK PREPARED",
}  # fmt: skip


def command_tag(statement: Node | None) -> str:
    """The tag of a raw, analysed or planned statement (CreateCommandTag)."""
    if isinstance(statement, RawStmt):
        return command_tag(statement.stmt)
    if isinstance(statement, (Query, PlannedStmt)):
        if statement.utilityStmt is not None:
            return command_tag(statement.utilityStmt)
        return plan_tag(statement)
    name = type(statement).__name__
    fixed = _TAGS.get(name)
    return fixed if fixed is not None else _varying_tag(name, statement)


def _varying_tag(name: str, statement: object) -> str:
    """Tags that depend on the statement's fields."""

    def word(field: str) -> str:
        return _OBJECT_WORDS.get(getattr(statement, field).name, "???")

    match name:
        case "TransactionStmt":
            return _TRANSACTION_TAGS[statement.kind]  # type: ignore[attr-defined]
        case "VariableSetStmt":
            reset = (enums.VAR_RESET, enums.VAR_RESET_ALL)
            return "RESET" if statement.kind in reset else "SET"  # type: ignore[attr-defined]
        case "FetchStmt":
            return "MOVE" if statement.ismove else "FETCH"  # type: ignore[attr-defined]
        case "DropStmt":
            return f"DROP {word('removeType')}"
        case "RenameStmt":
            is_column = statement.renameType.name in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE")  # type: ignore[attr-defined]
            return f"ALTER {word('relationType' if is_column else 'renameType')}"
        case "AlterTableStmt" | "AlterTableMoveAllStmt":
            return f"ALTER {word('objtype')}"
        case "AlterObjectSchemaStmt" | "AlterOwnerStmt" | "AlterObjectDependsStmt":
            return f"ALTER {word('objectType')}"
        case "DefineStmt":
            return f"CREATE {word('kind')}"
        case "CreateFunctionStmt":
            return "CREATE PROCEDURE" if statement.is_procedure else "CREATE FUNCTION"  # type: ignore[attr-defined]
        case "CreateTableAsStmt":
            if statement.objtype == enums.OBJECT_MATVIEW:  # type: ignore[attr-defined]
                return "CREATE MATERIALIZED VIEW"
            return "SELECT INTO" if statement.is_select_into else "CREATE TABLE AS"  # type: ignore[attr-defined]
        case "GrantStmt":
            return "GRANT" if statement.is_grant else "REVOKE"  # type: ignore[attr-defined]
        case "GrantRoleStmt":
            return "GRANT ROLE" if statement.is_grant else "REVOKE ROLE"  # type: ignore[attr-defined]
        case "VacuumStmt":
            return "VACUUM" if statement.is_vacuumcmd else "ANALYZE"  # type: ignore[attr-defined]
        case "DiscardStmt":
            return {
                enums.DISCARD_ALL: "DISCARD ALL",
                enums.DISCARD_PLANS: "DISCARD PLANS",
                enums.DISCARD_TEMP: "DISCARD TEMP",
                enums.DISCARD_SEQUENCES: "DISCARD SEQUENCES",
            }[statement.target]  # type: ignore[attr-defined]
    return "???"


def with_row_count(tag: str, nrows: int) -> str:
    """The completion of a command that counts rows: ``INSERT 0 n``, ``SELECT n``; others stay as they are."""
    if tag == "INSERT":
        return f"INSERT 0 {nrows}"
    if tag in ("DELETE", "UPDATE", "SELECT", "MERGE", "FETCH", "MOVE", "COPY"):
        return f"{tag} {nrows}"
    return tag
