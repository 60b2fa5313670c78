"""CREATE, DROP and ALTER DATABASE (dbcommands.c)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog import relmap
from tusk.catalog._runtime import lock_shared_object, unlock_shared_object
from tusk.catalog._tuples import delete_row, insert_row, new_oid, update_row, update_row_inplace
from tusk.catalog.acl import (
    ACL_CREATE,
    check_can_set_role,
    get_role_oid,
    has_privs_of_role,
    object_ownercheck,
    require_owner,
    require_privilege,
    superuser,
    superuser_arg,
)
from tusk.catalog.bootstrap_locale import ENCODINGS, check_locale, collation_version, find_encoding, locale_encoding
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.rows import PgDatabase
from tusk.catalog.session import session
from tusk.commands import _database
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory import _interrupts
from tusk.stats import _pending as statistics
from tusk.storage._sync import forget_database_sync_requests
from tusk.transaction import _procarray, _xact
from tusk.wal import _xlog, checkpoint

DATABASE = 1262
DEFAULT_TABLESPACE, GLOBAL_TABLESPACE = 1663, 1664
SHARE_LOCK, ACCESS_EXCLUSIVE_LOCK = 5, 8
PROVIDERS = {"builtin": "b", "icu": "i", "libc": "c"}
PROVIDER_NAMES = {letter: name for name, letter in PROVIDERS.items()}
INVALID_CONNECTION_LIMIT = -2
PG_SIGNAL_BACKEND = 4200


def _option_text(item: Any) -> str:
    """The value of a DefElem as text."""
    value = item.arg
    if value is None:
        raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a parameter")
    for field in ("sval", "ival", "boolval", "fval"):
        if hasattr(value, field):
            text = getattr(value, field)
            return (
                text
                if isinstance(text, str)
                else ("true" if text else "false")
                if isinstance(text, bool)
                else str(text)
            )
    if hasattr(value, "names"):
        return ".".join(part.sval for part in value.names)
    raise SqlError(errcode.SYNTAX_ERROR, f"invalid value for parameter {item.defname}")


def _option_bool(item: Any) -> bool:
    if item.arg is None:
        return True
    text = _option_text(item).lower()
    if text in ("true", "on", "1"):
        return True
    if text in ("false", "off", "0"):
        return False
    raise SqlError(errcode.SYNTAX_ERROR, f"{item.defname} requires a Boolean value")


def _collect(options: list[Any] | None, known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in options or ():
        if item.defname == "location":
            report(Severity.WARNING, "LOCATION is not supported anymore", hint="Consider using tablespaces instead.")
            continue
        if item.defname not in known:
            raise SqlError(errcode.SYNTAX_ERROR, f'option "{item.defname}" not recognized', position=item.location + 1)
        if item.defname in found:
            raise SqlError(errcode.SYNTAX_ERROR, "conflicting or redundant options", position=item.location + 1)
        found[item.defname] = item
    return found


CREATE_OPTIONS = {
    "tablespace", "owner", "template", "encoding", "locale", "builtin_locale", "lc_collate", "lc_ctype", "icu_locale",
    "icu_rules", "locale_provider", "is_template", "allow_connections", "connection_limit", "collation_version", "oid",
    "strategy",
}  # fmt: skip


def _have_createdb_privilege() -> bool:
    if superuser():
        return True
    row = lookup(c.AUTHOID, session.current_user_id)
    return row is not None and row.rolcreatedb


def find_database(name: str) -> Any:
    """The pg_database row of a name, or None; no lock."""
    rows = scan_rows("pg_database", datname=name)
    return rows[0] if rows else None


def lock_database(name: str, mode: int) -> Any:
    """The row of a database by name, locked against being dropped or renamed meanwhile (get_db_info)."""
    while True:
        row = find_database(name)
        if row is None:
            return None
        lock_shared_object(DATABASE, row.oid, 0, mode)
        again = scan_rows("pg_database", oid=row.oid)
        if again and again[0].datname == name:
            return again[0]
        unlock_shared_object(DATABASE, row.oid, 0, mode)


def _others_using(database: int) -> tuple[int, int]:
    """(sessions, prepared transactions) in a database besides ours, after giving them five seconds to leave."""
    others = prepared = 0
    for _attempt in range(50):
        _interrupts.check()
        others, prepared = _procarray.count_database_backends(database, False)
        if not others and not prepared:
            break
        time.sleep(0.1)
    return others, prepared


def _busy_detail(others: int, prepared: int) -> str:
    if others and prepared:
        return f"There are {others} other session(s) and {prepared} prepared transaction(s) using the database."
    if others:
        return (
            "There is 1 other session using the database." if others == 1
            else f"There are {others} other sessions using the database."
        )  # fmt: skip
    return (
        "There is 1 prepared transaction using the database." if prepared == 1
        else f"There are {prepared} prepared transactions using the database."
    )  # fmt: skip


def _settle_locale(options: dict[str, Any], source: Any) -> dict[str, Any]:
    """Encoding, provider and locales of the new database, checked against those of its template."""
    encoding = source.encoding
    if "encoding" in options:
        text = _option_text(options["encoding"])
        if text.lstrip("-").isdigit() and hasattr(options["encoding"].arg, "ival"):
            encoding = int(text)
            if not 0 <= encoding < len(ENCODINGS):
                raise SqlError(errcode.UNDEFINED_OBJECT, f"{encoding} is not a valid encoding code")
        elif text.lower() != "default":
            found = find_encoding(text)
            if found is None:
                raise SqlError(errcode.UNDEFINED_OBJECT, f"{text} is not a valid encoding name")
            encoding = found
    provider = source.datlocprovider
    if "locale_provider" in options:
        name = _option_text(options["locale_provider"]).lower()
        if name not in PROVIDERS:
            raise SqlError(errcode.INVALID_OBJECT_DEFINITION, f"unrecognized locale provider: {name}")
        provider = PROVIDERS[name]
    if provider == "i":
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "ICU is not supported in this build")
    general = _option_text(options["locale"]) if "locale" in options else None
    collate = _option_text(options["lc_collate"]) if "lc_collate" in options else general or source.datcollate
    ctype = _option_text(options["lc_ctype"]) if "lc_ctype" in options else general or source.datctype
    for category, value in (("lc_collate", collate), ("lc_ctype", ctype)):
        if check_locale(category, value) is None:
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, f'invalid {category.upper()} locale name: "{value}"',
                hint='If the locale name is specific to ICU, use ICU_LOCALE.',
            )  # fmt: skip
    locale = None
    if provider == "b":
        if "builtin_locale" in options:
            locale = _option_text(options["builtin_locale"])
        else:
            locale = general or (source.datlocale if source.datlocprovider == "b" else None)
        if locale is None:
            raise SqlError(errcode.INVALID_OBJECT_DEFINITION, "LOCALE or BUILTIN_LOCALE must be specified")
        if locale not in ("C", "C.UTF-8", "PG_UNICODE_FAST"):
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'invalid locale name "{locale}" for builtin provider')
    elif "builtin_locale" in options:
        raise SqlError(
            errcode.INVALID_OBJECT_DEFINITION,
            "BUILTIN_LOCALE cannot be specified unless locale provider is builtin",
        )
    for category, value in (("LC_CTYPE", ctype), ("LC_COLLATE", collate)):
        wanted = locale_encoding(value)
        if wanted not in (encoding, 0, None) and not (encoding == 0 and superuser()):
            raise SqlError(
                errcode.INVALID_OBJECT_DEFINITION,
                f'encoding "{ENCODINGS[encoding]}" does not match locale "{value}"',
                detail=f'The chosen {category} setting requires encoding "{ENCODINGS[wanted or 0]}".',
            )
    if source.datname != "template0":
        hint = "Use the same {} as in the template database, or use template0 as template."
        if encoding != source.encoding:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f"new encoding ({ENCODINGS[encoding]}) is incompatible with the encoding of the template database "
                f"({ENCODINGS[source.encoding]})", hint=hint.format("encoding"),
            )  # fmt: skip
        if collate != source.datcollate:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f"new collation ({collate}) is incompatible with the collation of the template database "
                f"({source.datcollate})", hint=hint.format("collation"),
            )  # fmt: skip
        if ctype != source.datctype:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f"new LC_CTYPE ({ctype}) is incompatible with the LC_CTYPE of the template database "
                f"({source.datctype})", hint=hint.format("LC_CTYPE"),
            )  # fmt: skip
        if provider != source.datlocprovider:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f"new locale provider ({PROVIDER_NAMES[provider]}) does not match locale provider of the template "
                f"database ({PROVIDER_NAMES[source.datlocprovider]})", hint=hint.format("locale provider"),
            )  # fmt: skip
    version = source.datcollversion
    if "collation_version" in options:
        version = _option_text(options["collation_version"])
    elif collate != source.datcollate or provider != source.datlocprovider:
        version = collation_version(provider, collate)
    return {
        "encoding": encoding, "datlocprovider": provider, "datcollate": collate, "datctype": ctype,
        "datlocale": locale, "daticurules": None, "datcollversion": version,
    }  # fmt: skip


def _settle_tablespace(options: dict[str, Any], source: Any) -> int:
    if "tablespace" not in options:
        tablespace: int = source.dattablespace
        return tablespace
    name = _option_text(options["tablespace"])
    rows = scan_rows("pg_tablespace", spcname=name)
    if not rows:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'tablespace "{name}" does not exist')
    require_privilege(oa.TABLESPACE, rows[0].oid, ACL_CREATE)
    if rows[0].oid == GLOBAL_TABLESPACE:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, "pg_global cannot be used as default tablespace")
    oid: int = rows[0].oid
    return oid


@utility("CreatedbStmt")
def create_database(statement: Any, context: UtilityContext) -> str | None:
    """CREATE DATABASE."""
    _xact.prevent_in_transaction_block(context.is_top_level, "CREATE DATABASE")
    name = statement.dbname
    options = _collect(statement.options, CREATE_OPTIONS)
    strategy = _option_text(options["strategy"]).lower() if "strategy" in options else "wal_log"
    if strategy not in ("wal_log", "file_copy"):
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'invalid create database strategy "{strategy}"',
            hint='Valid strategies are "wal_log" and "file_copy".',
        )  # fmt: skip
    limit = int(_option_text(options["connection_limit"])) if "connection_limit" in options else -1
    if limit < -1:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid connection limit: {limit}")
    owner = get_role_oid(_option_text(options["owner"])) if "owner" in options else session.current_user_id
    if not _have_createdb_privilege():
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, "permission denied to create database")
    check_can_set_role(session.current_user_id, owner)
    template_name = _option_text(options["template"]) if "template" in options else "template1"
    source = lock_database(template_name, SHARE_LOCK)
    if source is None:
        raise SqlError(errcode.UNDEFINED_DATABASE, f'template database "{template_name}" does not exist')
    if source.datconnlimit == INVALID_CONNECTION_LIMIT:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f'cannot use invalid database "{template_name}" as template',
            hint="Use DROP DATABASE to drop invalid databases.",
        )  # fmt: skip
    if not source.datistemplate and not object_ownercheck(DATABASE, source.oid, session.current_user_id):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'permission denied to copy database "{template_name}"')
    locale = _settle_locale(options, source)
    tablespace = _settle_tablespace(options, source)
    if find_database(name) is not None:
        raise SqlError(errcode.DUPLICATE_DATABASE, f'database "{name}" already exists')
    others, prepared = _others_using(source.oid)
    if others or prepared:
        raise SqlError(
            errcode.OBJECT_IN_USE, f'source database "{template_name}" is being accessed by other users',
            detail=_busy_detail(others, prepared),
        )  # fmt: skip
    oid = _choose_oid(options, tablespace)
    insert_row(
        PgDatabase(
            oid=oid, datname=name, datdba=owner, dathasloginevt=source.dathasloginevt, datconnlimit=limit,
            datistemplate=_option_bool(options["is_template"]) if "is_template" in options else False,
            datallowconn=_option_bool(options["allow_connections"]) if "allow_connections" in options else True,
            datfrozenxid=source.datfrozenxid, datminmxid=source.datminmxid, dattablespace=tablespace, **locale,
        )
    )  # fmt: skip
    dep.record_owner(DATABASE, oid, owner)
    dep.copy_template_dependencies(source.oid, oid)
    try:
        if strategy == "wal_log":
            _copy_logged(source, oid, tablespace)
        else:
            _copy_files(source, oid, tablespace)
    except BaseException:
        _database.drop_buffers(oid)
        forget_database_sync_requests(oid)
        for candidate in _tablespaces_of(oid):
            shutil.rmtree(relmap.database_path(oid, candidate), ignore_errors=True)
        raise
    # The files are there for good; so must be the row, before anybody can connect.
    _xact.force_synchronous_commit()
    return None


def _choose_oid(options: dict[str, Any], tablespace: int) -> int:
    if "oid" in options:
        oid = int(_option_text(options["oid"]))
        if oid < 16384 and not superuser():
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "OIDs less than 16384 are reserved for system objects")
        existing = scan_rows("pg_database", oid=oid)
        if existing:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE,
                f'database OID {oid} is already in use by database "{existing[0].datname}"',
            )
        if relmap.database_path(oid, tablespace).exists():
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, f"data directory with the specified OID {oid} already exists"
            )
        return oid
    while True:
        oid = new_oid("pg_database")
        if not any(relmap.database_path(oid, candidate).exists() for candidate in (tablespace, DEFAULT_TABLESPACE)):
            return oid


def _copy_logged(source: Any, oid: int, tablespace: int) -> None:
    """Copy page by page through the buffer pool: every page is in the WAL (CreateDatabaseUsingWalLog)."""
    _database.create_directory_logged(oid, tablespace)
    mapping = relmap.read_map_file(relmap.database_path(source.oid, source.dattablespace) / relmap.RELMAPPER_FILENAME)
    relmap.write_for_database(mapping, oid, tablespace)
    for number, at, persistence in _database.stored_relations(source.oid, source.dattablespace):
        where = tablespace if at == source.dattablespace else at
        if where != tablespace and not relmap.database_path(oid, where).exists():
            _database.create_directory_logged(oid, where)
        _database.copy_relation((at, source.oid, number), (where, oid, number), persistence)


def _copy_files(source: Any, oid: int, tablespace: int) -> None:
    """Copy directories after a checkpoint; the WAL says only that (CreateDatabaseUsingFileCopy)."""
    checkpoint.request_checkpoint(
        checkpoint.CHECKPOINT_IMMEDIATE
        | checkpoint.CHECKPOINT_FORCE
        | checkpoint.CHECKPOINT_WAIT
        | checkpoint.CHECKPOINT_FLUSH_ALL
    )
    for at in _tablespaces_of(source.oid):
        where = tablespace if at == source.dattablespace else at
        _database.copy_directory(relmap.database_path(source.oid, at), relmap.database_path(oid, where))
        _database.log_file_copy(oid, where, source.oid, at)
    # A crash must not replay the copying from a template that has changed since.
    checkpoint.request_checkpoint(
        checkpoint.CHECKPOINT_IMMEDIATE | checkpoint.CHECKPOINT_FORCE | checkpoint.CHECKPOINT_WAIT
    )


def _tablespaces_of(database: int) -> list[int]:
    """The tablespaces in which a database has files."""
    return [
        row.oid for row in scan_rows("pg_tablespace")
        if row.oid != GLOBAL_TABLESPACE and relmap.database_path(database, row.oid).is_dir()
    ]  # fmt: skip


@utility("DropdbStmt")
def drop_database(statement: Any, context: UtilityContext) -> str | None:
    """DROP DATABASE."""
    _xact.prevent_in_transaction_block(context.is_top_level, "DROP DATABASE")
    force = False
    for item in statement.options or ():
        if item.defname != "force":
            raise SqlError(
                errcode.SYNTAX_ERROR, f'unrecognized DROP DATABASE option "{item.defname}"', position=item.location + 1
            )
        force = True
    name = statement.dbname
    row = lock_database(name, ACCESS_EXCLUSIVE_LOCK)
    if row is None:
        if not statement.missing_ok:
            raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{name}" does not exist')
        report(Severity.NOTICE, f'database "{name}" does not exist, skipping')
        return None
    require_owner(DATABASE, row.oid)
    if row.datistemplate:
        raise SqlError(errcode.WRONG_OBJECT_TYPE, "cannot drop a template database")
    if row.oid == session.database_id:
        raise SqlError(errcode.OBJECT_IN_USE, "cannot drop the currently open database")
    if force:
        terminate_others(row.oid)
    others, prepared = _others_using(row.oid)
    if others or prepared:
        raise SqlError(
            errcode.OBJECT_IN_USE, f'database "{name}" is being accessed by other users',
            detail=_busy_detail(others, prepared),
        )  # fmt: skip
    dep.delete_shared_comments(DATABASE, row.oid)
    for label in scan_rows("pg_shseclabel", objoid=row.oid, classoid=DATABASE):
        delete_row(label)
    for setting in scan_rows("pg_db_role_setting", setdatabase=row.oid):
        delete_row(setting)
    dep.drop_database_dependencies(row.oid)
    # A crash between the removal of the files and the commit must not leave a database that looks whole: the mark is
    # not undone with the transaction. Such a database can only be dropped.
    while not update_row_inplace(row.copy(datconnlimit=INVALID_CONNECTION_LIMIT)):
        row = lookup(c.DATABASEOID, row.oid)
    _xlog.flush(_xlog.insert_lsn())
    delete_row(row)
    statistics.dropped(statistics.DATABASE, row.oid, 0)
    _database.drop_buffers(row.oid)
    forget_database_sync_requests(row.oid)
    # Others may have the files open for writing what the checkpointer was told of: let it finish.
    checkpoint.request_checkpoint(
        checkpoint.CHECKPOINT_IMMEDIATE | checkpoint.CHECKPOINT_FORCE | checkpoint.CHECKPOINT_WAIT
    )
    tablespaces = _tablespaces_of(row.oid)
    for tablespace in tablespaces:
        shutil.rmtree(relmap.database_path(row.oid, tablespace), ignore_errors=True)
    _database.log_drop(row.oid, tablespaces)
    _xact.force_synchronous_commit()
    return None


def terminate_others(database: int) -> None:
    """Send SIGTERM to the other sessions of a database; each must be ours to terminate (TerminateOtherDBBackends)."""
    targets = []
    for _procno, pid, _xid, _xmin, _lxid, where, role in _procarray.processes():
        if where != database or not pid or pid == os.getpid():
            continue
        if superuser_arg(role) and not superuser():
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, "permission denied to terminate process",
                detail="Only roles with the SUPERUSER attribute may terminate processes of roles with the SUPERUSER "
                       "attribute.",
            )  # fmt: skip
        if not has_privs_of_role(session.current_user_id, role) and not has_privs_of_role(
            session.current_user_id, PG_SIGNAL_BACKEND
        ):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, "permission denied to terminate process",
                detail='Only roles with privileges of the role whose process is being terminated or with privileges of '
                       'the "pg_signal_backend" role may terminate this process.',
            )  # fmt: skip
        targets.append(pid)
    for pid in targets:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


@utility("AlterDatabaseStmt")
def alter_database(statement: Any, context: UtilityContext) -> str | None:
    """ALTER DATABASE ... WITH, and SET TABLESPACE."""
    options = _collect(statement.options, {"is_template", "allow_connections", "connection_limit", "tablespace"})
    if "tablespace" in options:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "ALTER DATABASE SET TABLESPACE is not supported yet")
    row = find_database(statement.dbname)
    if row is None:
        raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{statement.dbname}" does not exist')
    require_owner(DATABASE, row.oid)
    changes: dict[str, Any] = {}
    if "connection_limit" in options:
        limit = int(_option_text(options["connection_limit"]))
        if limit < -1:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid connection limit: {limit}")
        changes["datconnlimit"] = limit
    if "is_template" in options:
        changes["datistemplate"] = _option_bool(options["is_template"])
    if "allow_connections" in options:
        changes["datallowconn"] = _option_bool(options["allow_connections"])
        if not changes["datallowconn"] and row.oid == session.database_id:
            raise SqlError(errcode.OBJECT_IN_USE, "cannot disallow connections for current database")
    update_row(row.copy(**changes), row)
    return None
