"""The schema of this session's temporary tables: made at first use, emptied at the end of the session (namespace.c)."""

from __future__ import annotations

from collections.abc import Callable

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import namespace as ns
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, new_oid
from tusk.catalog.acl import default_acl_for_new_object
from tusk.catalog.cache import lookup
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgNamespace
from tusk.catalog.session import BOOTSTRAP_SUPERUSERID, session
from tusk.errors import SqlError, errcode
from tusk.transaction import _xact

# Set by `_runtime`: (our process number, whether we replay WAL, announce our temporary schema in the process slot).
my_proc_number: Callable[[], int] = lambda: 0
in_recovery: Callable[[], bool] = lambda: False
announce: Callable[[int], None] = lambda _oid: None
at_exit: Callable[[Callable[[], None]], None] = lambda _function: None

pending_subid = 0


def create_namespace(name: str, owner: int, *, is_temp: bool = False) -> int:
    """A new schema; returns its OID (NamespaceCreate)."""
    if lookup(c.NAMESPACENAME, name) is not None:
        raise SqlError(errcode.DUPLICATE_SCHEMA, f'schema "{name}" already exists')
    oid: int = new_oid("pg_namespace")
    acl = None if is_temp else default_acl_for_new_object("schema", owner, 0)
    insert_row(PgNamespace(oid=oid, nspname=name, nspowner=owner, nspacl=acl))
    dep.record_owner(oa.NAMESPACE, oid, owner)
    if acl:
        dep.update_acl_dependencies(
            oa.NAMESPACE, oid, 0, owner, set(), {role for item in acl for role in item[:2] if role}
        )
    return oid


def init_temp_namespace() -> None:
    """Find or make pg_temp_N and pg_toast_temp_N, N being our process number (InitTempTableNamespace)."""
    global pending_subid
    if not ns.may_create_temp():
        database = lookup(c.DATABASEOID, session.database_id)
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE,
            f'permission denied to create temporary tables in database "{database.datname}"',
        )
    if in_recovery():
        raise SqlError(errcode.READ_ONLY_SQL_TRANSACTION, "cannot create temporary tables during recovery")
    number = my_proc_number()
    oids = []
    for name in (f"pg_temp_{number}", f"pg_toast_temp_{number}"):
        oid = ns.get_namespace_oid(name, True)
        if oid:
            # Left over from a session that died: its tables must not be taken for ours.
            if name.startswith("pg_temp_"):
                remove_temp_relations(oid)
        else:
            oid = create_namespace(name, BOOTSTRAP_SUPERUSERID, is_temp=True)
            command_counter_increment()
        oids.append(oid)
    session.temp_namespace_id, session.temp_toast_namespace_id = oids
    announce(oids[0])
    pending_subid = _xact.current_sub_transaction_id()
    ns.forget_search_path()


def remove_temp_relations(namespace: int) -> None:
    """Drop everything in a temporary schema, silently (RemoveTempRelations)."""
    dep.perform_deletion(
        ObjectAddress(oa.NAMESPACE, namespace), dep.CASCADE,
        dep.DELETION_INTERNAL | dep.DELETION_QUIETLY | dep.DELETION_SKIP_ORIGINAL | dep.DELETION_SKIP_EXTENSIONS,
    )


def _end_of_session() -> None:
    if session.temp_namespace_id:
        _xact.abort_out_of_any_transaction()
        _xact.start_command()
        remove_temp_relations(session.temp_namespace_id)
        _xact.commit_command()


def end_transaction(is_commit: bool) -> None:
    """A schema made in a transaction that aborts was never there (AtEOXact_Namespace)."""
    global pending_subid
    if not pending_subid:
        return
    if is_commit:
        at_exit(_end_of_session)
    else:
        _forget()
    pending_subid = 0


def end_subtransaction(is_commit: bool, subid: int, parent: int) -> None:
    """The same for a subtransaction (AtEOSubXact_Namespace)."""
    global pending_subid
    if pending_subid == subid:
        if is_commit:
            pending_subid = parent
        else:
            _forget()
            pending_subid = 0


def _forget() -> None:
    session.temp_namespace_id = session.temp_toast_namespace_id = 0
    announce(0)
    ns.forget_search_path()


def reset_temp_tables() -> None:
    """DISCARD TEMP."""
    if session.temp_namespace_id:
        remove_temp_relations(session.temp_namespace_id)


ns.create_temp_namespace = init_temp_namespace
