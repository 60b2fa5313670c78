"""CLUSTER, and VACUUM FULL, which is the same without an order (cluster.c)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tusk.access import _vacuum_cost
from tusk.catalog import acl, inval
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open, try_relation_open
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace, range_var_get_relid
from tusk.catalog.session import SECURITY_RESTRICTED_OPERATION, session
from tusk.commands import vacuum_heap
from tusk.commands.options import boolean_of, position
from tusk.commands.rebuild import ACCESS_EXCLUSIVE, rebuild_table, refuse_in_use
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.vacuum_heap import Usage
from tusk.commands.vacuum_horizon import cutoffs, multi_precedes, precedes
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.stats import progress
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

_BTREE = 403



def rewrite_relation(rel: Any, order_by: int, *, verbose: bool) -> None:
    """Rewrite an open, exclusively locked table and its TOAST table (cluster_rel, rebuild_relation)."""
    refuse_in_use(rel, "CLUSTER" if order_by else "VACUUM")
    usage = Usage()
    progress.start_command(progress.COMMAND_CLUSTER, rel.rd_id)
    progress.update_param(progress.Cluster.COMMAND, 1 if order_by else 2)
    # Everything that nobody needs to look up any more is frozen: the file is written anyhow.
    ages = SimpleNamespace(
        freeze_min_age=0, freeze_table_age=0, multixact_freeze_min_age=0, multixact_freeze_table_age=0
    )
    limits = cutoffs(rel, ages)
    schema = lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname
    name = f"{schema}.{rel.name}"
    if verbose:
        if order_by:
            index = lookup(c.RELOID, order_by).relname
            report(Severity.INFO, f'clustering "{name}" using index scan on "{index}"')
        else:
            report(Severity.INFO, f'vacuuming "{name}"')
    toast = rel.reltoastrelid
    done = _rebuild(rel, order_by, limits)
    if toast:
        values = relation_open(toast, ACCESS_EXCLUSIVE)
        try:
            _rebuild(values, 0, limits)
        finally:
            relation_close(values, 0)
    if verbose:
        report(
            Severity.INFO,
            f'"{name}": found {done.removed} removable, {done.live + done.recently_dead} nonremovable row versions in '
            f"{done.old_blocks} pages",
            detail=f"{done.recently_dead} dead row versions cannot be removed yet.\n"
            + usage.lines()[-1].removeprefix("system usage: ") + ".",
        )
    progress.end_command()


def _rebuild(rel: Any, order_by: int, limits: Any) -> Any:
    """One table; the horizons of pg_class must not go back."""
    frozen, multi = limits.freeze_limit, limits.multixact_cutoff
    if rel.form.relfrozenxid and precedes(frozen, rel.form.relfrozenxid):
        frozen = rel.form.relfrozenxid
    if rel.form.relminmxid and multi_precedes(multi, rel.form.relminmxid):
        multi = rel.form.relminmxid
    return rebuild_table(rel, order_by, oldest_xmin=limits.oldest_xmin, freeze_limit=frozen, oldest_mxact=multi)


@utility("ClusterStmt")
def cluster(statement: Any, context: UtilityContext) -> None:
    """CLUSTER of one table, or of all that were clustered before."""
    verbose = False
    for item in statement.params or ():
        if item.defname != "verbose":
            raise SqlError(
                errcode.SYNTAX_ERROR, f'unrecognized CLUSTER option "{item.defname}"',
                position=position(context, item.location),
            )
        verbose = boolean_of(item)
    if statement.relation is None:
        xact.prevent_in_transaction_block(context.is_top_level, "CLUSTER")
        _cluster_all(verbose)
        return
    relid = range_var_get_relid(statement.relation, ACCESS_EXCLUSIVE, callback=_check)
    rel = relation_open(relid, 0)
    try:
        if is_other_temp_namespace(rel.form.relnamespace):
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot cluster temporary tables of other sessions")
        if rel.form.relkind == "p":
            raise feature_not_supported("CLUSTER of partitioned tables")
        index = _named_index(rel, statement.indexname)
        check_clusterable(rel, index)
        _with_owner(rel, index, verbose)
    finally:
        relation_close(rel, 0)


def _check(relation: Any, oid: int, _old: int) -> None:
    if not oid:
        return
    row = lookup(c.RELOID, oid)
    if row.relkind not in "rmtp":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not a table or materialized view')
    acl.require_privilege(oa.CLASS, oid, acl.ACL_MAINTAIN)


def _named_index(rel: Any, name: str | None) -> int:
    rows = scan_rows("pg_index", indrelid=rel.rd_id)
    if name is None:
        for row in rows:
            if row.indisclustered:
                return int(row.indexrelid)
        raise SqlError(
            errcode.UNDEFINED_OBJECT, f'there is no previously clustered index for table "{rel.name}"'
        )
    found = scan_rows("pg_class", relname=name, relnamespace=rel.form.relnamespace)
    if not found:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'index "{name}" for table "{rel.name}" does not exist')
    return int(found[0].oid)


def check_clusterable(rel: Any, index_oid: int) -> None:
    """Raise unless the index can order the table (check_index_is_clusterable)."""
    row = lookup(c.INDEXRELID, index_oid)
    form = lookup(c.RELOID, index_oid)
    if row is None or row.indrelid != rel.rd_id:
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{form.relname}" is not an index for table "{rel.name}"')
    problem = None
    if form.relam != _BTREE:
        problem = (f'cannot cluster on index "{form.relname}" because access method does not support clustering')
    elif row.indpred is not None:
        problem = f'cannot cluster on partial index "{form.relname}"'
    elif not row.indisvalid:
        problem = f'cannot cluster on invalid index "{form.relname}"'
    if problem is not None:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, problem)


def _with_owner(rel: Any, index: int, verbose: bool) -> None:
    """As the table's owner: index expressions are the owner's to run."""
    saved_user, saved_context = session.current_user_id, session.security_context
    session.set_user_and_context(rel.form.relowner, saved_context | SECURITY_RESTRICTED_OPERATION)
    try:
        mark_clustered(rel.rd_id, index)
        _vacuum_cost.end()
        rewrite_relation(rel, index, verbose=verbose)
    finally:
        session.set_user_and_context(saved_user, saved_context)


def mark_clustered(relid: int, index: int) -> None:
    """Remember the order of a table; 0: none (mark_index_clustered)."""
    changed = False
    for row in scan_rows("pg_index", indrelid=relid):
        if row.indisclustered != (row.indexrelid == index):
            update_row(row.copy(indisclustered=row.indexrelid == index), row)
            changed = True
    if changed:
        inval.invalidate_relcache(relid, False)
        command_counter_increment()


def _cluster_all(verbose: bool) -> None:
    """Every table with an order that the user may maintain, each in a transaction of its own."""
    tables = []
    for row in scan_rows("pg_index", indisclustered=True):
        table = lookup(c.RELOID, row.indrelid)
        if acl.class_aclcheck(row.indrelid, session.current_user_id, acl.ACL_MAINTAIN):
            tables.append((row.indrelid, row.indexrelid))
        else:
            report(Severity.WARNING, f'permission denied to cluster "{table.relname}", skipping it')
    if snapshots.is_active_set():
        snapshots.pop_active()
    xact.commit_transaction_command()
    try:
        for relid, index in tables:
            xact.start_transaction_command()
            snapshots.push_active(snapshots.transaction_snapshot())
            rel = try_relation_open(relid, ACCESS_EXCLUSIVE)
            if rel is not None:
                try:
                    row = lookup(c.INDEXRELID, index)
                    if row is not None and row.indisclustered and not is_other_temp_namespace(rel.form.relnamespace):
                        _with_owner(rel, index, verbose)
                finally:
                    relation_close(rel, 0)
            snapshots.pop_active()
            xact.commit_transaction_command()
    finally:
        if not xact.is_transaction_state():
            xact.start_transaction_command()


vacuum_heap.full_rewriter = rewrite_relation
