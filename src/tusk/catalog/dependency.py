"""What depends on what: recording it, and dropping an object with its dependents (dependency.c, pg_depend.c).

Kinds of dependency of pg_depend: normal "n", automatic "a", internal "i", of a partition "P" and "S", extension
member "e" and "x". Built-in objects (OID below 12000) are pinned: nothing is recorded about them, nor are they dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, delete_row, insert_row, new_oid, update_row
from tusk.catalog.cache import scan_rows
from tusk.catalog.objectaddress import ObjectAddress, object_description
from tusk.catalog.rows import PgDepend, PgShdepend
from tusk.catalog.session import session
from tusk.errors import Severity, SqlError, errcode, report

NORMAL, AUTO, INTERNAL, PARTITION_PRI, PARTITION_SEC, EXTENSION_MEMBER, AUTO_EXTENSION = (
    "n",
    "a",
    "i",
    "P",
    "S",
    "e",
    "x",
)
RESTRICT, CASCADE = 0, 1
FIRST_UNPINNED_OID = 12000
PUBLIC_NAMESPACE = 2200
MAX_REPORTED = 100

# Flags of perform_deletion (PERFORM_DELETION_*).
DELETION_INTERNAL, DELETION_CONCURRENTLY, DELETION_QUIETLY, DELETION_SKIP_ORIGINAL, DELETION_SKIP_EXTENSIONS = (
    1,
    2,
    4,
    8,
    16,
)

# Why an object is going to be dropped.
ORIGINAL, BY_NORMAL, BY_AUTO, BY_INTERNAL, BY_PARTITION, BY_EXTENSION, REVERSED, BY_SUBOBJECT = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
)

# class id -> drops one object of that class, everything that depends on it being gone; `commands` and `heap` register.
droppers: dict[int, Callable[[ObjectAddress, int], None]] = {}
# Set by `relations`: locks an object before it is dropped, and lets go of it again.
lock_for_deletion: Callable[[ObjectAddress, int], None] = lambda _object, _flags: None
unlock_after_all: Callable[[ObjectAddress], None] = lambda _object: None
post_drop_hooks: list[Callable[[ObjectAddress], None]] = []


def is_pinned(classid: int, objid: int) -> bool:
    """Whether the object is built in and cannot go (IsPinnedObject)."""
    if objid >= FIRST_UNPINNED_OID or classid in (oa.LARGE_OBJECT, oa.DATABASE):
        return False
    return not (classid == oa.NAMESPACE and objid == PUBLIC_NAMESPACE)


# Recording


def record_dependencies(depender: ObjectAddress, referenced: Iterable[ObjectAddress], kind: str = NORMAL) -> None:
    """Note that an object needs others, pinned ones left out (recordMultipleDependencies)."""
    for target in referenced:
        if not is_pinned(target.classid, target.objid):
            insert_row(
                PgDepend(
                    classid=depender.classid, objid=depender.objid, objsubid=depender.subid, refclassid=target.classid,
                    refobjid=target.objid, refobjsubid=target.subid, deptype=kind,
                )
            )  # fmt: skip


def record_dependency(depender: ObjectAddress, referenced: ObjectAddress, kind: str = NORMAL) -> None:
    """Note that an object needs another (recordDependencyOn)."""
    record_dependencies(depender, (referenced,), kind)


def delete_dependencies_of(classid: int, objid: int, skip_extension: bool = False) -> int:
    """Forget everything an object depends on; returns how many records (deleteDependencyRecordsFor)."""
    count = 0
    for row in scan_rows("pg_depend", classid=classid, objid=objid):
        if skip_extension and row.deptype == EXTENSION_MEMBER:
            continue
        delete_row(row)
        count += 1
    return count


def delete_dependencies_of_kind(classid: int, objid: int, refclassid: int, kind: str) -> int:
    """Forget an object's dependencies of one kind on one class of objects (deleteDependencyRecordsForClass)."""
    count = 0
    for row in scan_rows("pg_depend", classid=classid, objid=objid):
        if row.refclassid == refclassid and row.deptype == kind:
            delete_row(row)
            count += 1
    return count


def delete_dependency_on(classid: int, objid: int, refclassid: int, refobjid: int, kind: str) -> int:
    """Forget one dependency (deleteDependencyRecordsForSpecific)."""
    count = 0
    for row in scan_rows("pg_depend", classid=classid, objid=objid):
        if (row.refclassid, row.refobjid, row.deptype) == (refclassid, refobjid, kind):
            delete_row(row)
            count += 1
    return count


def change_dependency(classid: int, objid: int, refclassid: int, old: int, new: int) -> int:
    """Have an object depend on another one than before, e.g. a table on its new schema (changeDependencyFor)."""
    count = 0
    for row in scan_rows("pg_depend", classid=classid, objid=objid):
        if row.refclassid == refclassid and row.refobjid == old:
            if is_pinned(refclassid, new):
                delete_row(row)
            else:
                update_row(row.copy(refobjid=new), row)
            count += 1
    if not count and is_pinned(refclassid, old):
        record_dependency(ObjectAddress(classid, objid), ObjectAddress(refclassid, new))
        return 1
    return count


def sequences_owned_by(relation: int, attnum: int = 0, kind: str = "") -> list[int]:
    """Sequences owned by a table's columns, or by one column; of one kind of dependency or of both."""
    from_table = scan_rows("pg_depend", refclassid=oa.CLASS, refobjid=relation)
    return [
        row.objid for row in from_table
        if row.classid == oa.CLASS and row.objsubid == 0 and row.refobjsubid != 0
        and (attnum in (0, row.refobjsubid)) and row.deptype in (kind or "ai")
        and _relkind(row.objid) == "S"
    ]  # fmt: skip


def sequence_owner(sequence: int, kind: str) -> tuple[int, int] | None:
    """(table, column) that owns a sequence: serial with "a", identity with "i" (sequenceIsOwned)."""
    for row in scan_rows("pg_depend", classid=oa.CLASS, objid=sequence):
        if row.refclassid == oa.CLASS and row.deptype == kind:
            return row.refobjid, row.refobjsubid
    return None


def constraint_of_index(index: int) -> int:
    """The constraint that an index implements, 0 if none (get_index_constraint)."""
    for row in scan_rows("pg_depend", classid=oa.CLASS, objid=index, objsubid=0):
        if row.refclassid == oa.CONSTRAINT and row.refobjsubid == 0 and row.deptype == INTERNAL:
            oid: int = row.refobjid
            return oid
    return 0


def extension_of(classid: int, objid: int) -> int:
    """The extension that an object belongs to, 0 if none."""
    for row in scan_rows("pg_depend", classid=classid, objid=objid):
        if row.refclassid == oa.EXTENSION and row.deptype == EXTENSION_MEMBER:
            oid: int = row.refobjid
            return oid
    return 0


def _relkind(oid: int) -> str:
    rows = scan_rows("pg_class", oid=oid)
    return rows[0].relkind if rows else ""


# Shared dependencies: of objects in this database on roles, tablespaces and databases

SHARED_OWNER, SHARED_ACL, SHARED_INITACL, SHARED_POLICY, SHARED_TABLESPACE = "o", "a", "i", "r", "t"
_SHARED_CLASSES = frozenset({oa.AUTHID, oa.DATABASE, oa.TABLESPACE, oa.AUTH_MEMBERS, oa.SUBSCRIPTION, oa.PARAMETER_ACL})


def _database_of(classid: int) -> int:
    return 0 if classid in _SHARED_CLASSES else session.database_id


def record_shared_dependency(depender: ObjectAddress, referenced: ObjectAddress, kind: str) -> None:
    """Note that an object needs a shared one (recordSharedDependencyOn)."""
    if is_pinned(referenced.classid, referenced.objid):
        return
    insert_row(
        PgShdepend(
            dbid=_database_of(depender.classid), classid=depender.classid, objid=depender.objid,
            objsubid=depender.subid, refclassid=referenced.classid, refobjid=referenced.objid, deptype=kind,
        )
    )  # fmt: skip


def record_owner(classid: int, objid: int, owner: int) -> None:
    """Note who owns an object (recordDependencyOnOwner)."""
    record_shared_dependency(ObjectAddress(classid, objid), ObjectAddress(oa.AUTHID, owner), SHARED_OWNER)


def _shared_rows(classid: int, objid: int) -> list[Any]:
    return scan_rows("pg_shdepend", dbid=_database_of(classid), classid=classid, objid=objid)


def change_owner_dependency(classid: int, objid: int, owner: int) -> None:
    """Note a new owner (changeDependencyOnOwner)."""
    rows = [row for row in _shared_rows(classid, objid) if row.deptype == SHARED_OWNER and row.objsubid == 0]
    for row in rows:
        delete_row(row)
    record_owner(classid, objid, owner)
    # Privileges of the new owner stand in the ACL as the owner's, and need no record of their own.
    for row in _shared_rows(classid, objid):
        if row.deptype == SHARED_ACL and row.refclassid == oa.AUTHID and row.refobjid == owner:
            delete_row(row)


def update_acl_dependencies(
    classid: int,
    objid: int,
    subid: int,
    owner: int,
    old_members: set[int],
    new_members: set[int],
    kind: str = SHARED_ACL,
) -> None:
    """Note which roles an object's ACL mentions now (updateAclDependencies)."""
    old, new = old_members - {owner}, new_members - {owner}
    for row in _shared_rows(classid, objid):
        if row.objsubid == subid and row.deptype == kind and row.refobjid in old - new:
            delete_row(row)
    for role in sorted(new - old):
        record_shared_dependency(ObjectAddress(classid, objid, subid), ObjectAddress(oa.AUTHID, role), kind)


def change_tablespace_dependency(classid: int, objid: int, tablespace: int) -> None:
    """Note the tablespace of a relation without files of its own (changeDependencyOnTablespace)."""
    for row in _shared_rows(classid, objid):
        if row.deptype == SHARED_TABLESPACE:
            delete_row(row)
    if tablespace not in (0, 1663):
        record_shared_dependency(
            ObjectAddress(classid, objid), ObjectAddress(oa.TABLESPACE, tablespace), SHARED_TABLESPACE
        )


def delete_shared_dependencies_of(classid: int, objid: int, subid: int = 0) -> None:
    """Forget an object's shared dependencies; of all its columns too where subid is 0."""
    for row in _shared_rows(classid, objid):
        if subid in (0, row.objsubid):
            delete_row(row)


def drop_database_dependencies(database: int) -> None:
    """Forget all shared dependencies of a dropped database (dropDatabaseDependencies)."""
    for row in scan_rows("pg_shdepend", dbid=database):
        delete_row(row)
    delete_shared_dependencies_of(oa.DATABASE, database)


def copy_template_dependencies(template: int, database: int) -> None:
    """Give a new database the shared dependencies of its template (copyTemplateDependencies)."""
    for row in scan_rows("pg_shdepend", dbid=template):
        insert_row(row.copy(dbid=database))


def check_shared_dependencies(classid: int, objid: int) -> str | None:
    """The DETAIL of why a shared object cannot be dropped, None if it can (checkSharedDependencies)."""
    if is_pinned(classid, objid):
        raise SqlError(
            errcode.DEPENDENT_OBJECTS_STILL_EXIST,
            f"cannot drop {object_description(ObjectAddress(classid, objid))} because it is required by the database"
            " system",
        )
    words = {SHARED_OWNER: "owner of {}", SHARED_ACL: "privileges for {}", SHARED_INITACL: "initial privileges for {}",
             SHARED_POLICY: "target of {}", SHARED_TABLESPACE: "tablespace for {}"}  # fmt: skip
    lines = []
    elsewhere: dict[int, int] = {}
    for row in scan_rows("pg_shdepend", refclassid=classid, refobjid=objid):
        if row.dbid in (0, session.database_id):
            described = object_description(ObjectAddress(row.classid, row.objid, row.objsubid), True)
            if described is not None:
                lines.append(words.get(row.deptype, "{}").format(described))
        else:
            elsewhere[row.dbid] = elsewhere.get(row.dbid, 0) + 1
    lines.sort()
    shown = lines[:MAX_REPORTED]
    for database, count in sorted(elsewhere.items()):
        name = object_description(ObjectAddress(oa.DATABASE, database), True)
        shown.append(f"{count} object{'' if count == 1 else 's'} in {name}")
    return "\n".join(shown) or None


# Dropping


class _Target:
    """An object to be dropped: why, and on whose account."""

    __slots__ = ("address", "dependee", "flags")

    def __init__(self, address: ObjectAddress, flags: int, dependee: ObjectAddress | None) -> None:
        self.address = address
        self.flags = flags
        self.dependee = dependee


class _Targets:
    """What is going to be dropped, dependents before what they depend on."""

    def __init__(self) -> None:
        self.items: list[_Target] = []
        self.by_address: dict[ObjectAddress, _Target] = {}
        self.by_object: dict[tuple[int, int], list[_Target]] = {}

    def add(self, address: ObjectAddress, flags: int, dependee: ObjectAddress | None) -> None:
        """Append a target."""
        target = _Target(address, flags, dependee)
        self.items.append(target)
        self.by_address[address] = target
        self.by_object.setdefault(address[:2], []).append(target)

    def present(self, address: ObjectAddress, flags: int) -> bool:
        """Whether the object, or the whole that it is a part of, is in already; its reasons are added to."""
        found = False
        for target in self.by_object.get(address[:2], ()):
            if target.address.subid == address.subid:
                target.flags |= flags
                found = True
            elif target.address.subid == 0:
                found = True
            elif address.subid == 0:
                # A part is in, the whole comes now: the part goes with the whole.
                target.flags |= BY_SUBOBJECT
        return found


def _find_dependents(
    address: ObjectAddress,
    reason: int,
    flags: int,
    stack: list[tuple[ObjectAddress, list[int]]],
    targets: _Targets,
    originals: Sequence[ObjectAddress],
    deletion_flags: int,
) -> None:
    """Collect an object and all that must go with it (findDependentObjects)."""
    for on_stack, on_flags in stack:
        if on_stack[:2] == address[:2] and on_stack.subid in (0, address.subid):
            on_flags[0] |= reason
            return
    if targets.present(address, reason):
        return
    if is_pinned(address.classid, address.objid):
        raise SqlError(
            errcode.DEPENDENT_OBJECTS_STILL_EXIST,
            f"cannot drop {object_description(address)} because it is required by the database system",
        )
    owner = _owning_object(address, reason, stack, originals)
    if owner is not None:
        # An internal part: its owner is dropped instead, and comes back to us from there.
        lock_for_deletion(owner, 0)
        if object_description(owner, True) is None:
            unlock_after_all(owner)
            return
        _find_dependents(owner, REVERSED, flags, stack, targets, originals, deletion_flags)
        return
    own = [reason]
    stack.append((address, own))
    partition_dependee: ObjectAddress | None = None
    for dependent, kind in sorted(_dependents_of(address), key=_deletion_order):
        lock_for_deletion(dependent, 0)
        if not _still_depends(dependent, address):
            unlock_after_all(dependent)
            continue
        why = {
            NORMAL: BY_NORMAL, AUTO: BY_AUTO, AUTO_EXTENSION: BY_AUTO, INTERNAL: BY_INTERNAL,
            PARTITION_PRI: BY_PARTITION, PARTITION_SEC: BY_PARTITION, EXTENSION_MEMBER: BY_EXTENSION,
        }[kind]  # fmt: skip
        _find_dependents(dependent, why, flags, stack, targets, originals, deletion_flags)
    stack.pop()
    dependee = stack[-1][0] if stack else partition_dependee
    targets.add(address, own[0], dependee)


def _owning_object(
    address: ObjectAddress,
    reason: int,
    stack: list[tuple[ObjectAddress, list[int]]],
    originals: Sequence[ObjectAddress],
) -> ObjectAddress | None:
    """The object that must be dropped in place of an internal part of it; raises 2BP01 when that was not asked for."""
    blocked: ObjectAddress | None = None
    partition_owner: ObjectAddress | None = None
    for row in scan_rows("pg_depend", classid=address.classid, objid=address.objid):
        if address.subid and row.objsubid != address.subid:
            continue
        other = ObjectAddress(row.refclassid, row.refobjid, row.refobjsubid)
        if other[:2] == address[:2] and address.subid == 0:
            continue
        if row.deptype == EXTENSION_MEMBER:
            if reason & BY_EXTENSION and stack and stack[-1][0] == other:
                continue
            if other in originals:
                continue
            if not stack or not any(entry[0] == other for entry in stack):
                blocked = blocked or other
        elif row.deptype == INTERNAL:
            if any(entry[0] == other or (entry[0][:2] == other[:2] and entry[0].subid == 0) for entry in stack):
                continue
            if other in originals or any(o[:2] == other[:2] and o.subid == 0 for o in originals):
                return other if not stack else None
            if not stack:
                blocked = other
            else:
                return other
        elif row.deptype in (PARTITION_PRI, PARTITION_SEC):
            if any(entry[0] == other for entry in stack) or other in originals:
                partition_owner = None
                break
            if row.deptype == PARTITION_PRI or partition_owner is None:
                partition_owner = other
    if blocked is not None and not stack:
        raise _required_by(address, blocked)
    if partition_owner is not None and not stack:
        raise _required_by(address, partition_owner)
    return None


def _required_by(address: ObjectAddress, other: ObjectAddress) -> SqlError:
    described = object_description(other)
    return SqlError(
        errcode.DEPENDENT_OBJECTS_STILL_EXIST,
        f"cannot drop {object_description(address)} because {described} requires it",
        hint=f"You can drop {described} instead.",
    )


def _dependents_of(address: ObjectAddress) -> list[tuple[ObjectAddress, str]]:
    """(object, kind) of what depends on an object; on any column too for a whole object."""
    found: dict[ObjectAddress, str] = {}
    for row in scan_rows("pg_depend", refclassid=address.classid, refobjid=address.objid):
        if address.subid and row.refobjsubid != address.subid:
            continue
        dependent = ObjectAddress(row.classid, row.objid, row.objsubid)
        if dependent[:2] == address[:2] and address.subid == 0:
            continue
        if dependent not in found or row.deptype == NORMAL:
            found[dependent] = row.deptype
    return list(found.items())


def _deletion_order(item: tuple[ObjectAddress, str]) -> tuple[int, int, int]:
    """Newest first, as PostgreSQL sorts them, so that messages come in a fixed order."""
    address = item[0]
    return (-address.objid, address.classid, address.subid)


def _still_depends(dependent: ObjectAddress, on: ObjectAddress) -> bool:
    """After waiting for its lock: whether the object is still there and still needs the other."""
    return any(
        row.refclassid == on.classid and row.refobjid == on.objid
        for row in scan_rows("pg_depend", classid=dependent.classid, objid=dependent.objid)
        if row.objsubid == dependent.subid
    )


def _report(targets: _Targets, behavior: int, original: ObjectAddress | None, flags: int) -> None:
    """Complain of dependents under RESTRICT, tell of them under CASCADE (reportDependentObjects)."""
    lines: list[str] = []
    ok = True
    quiet = bool(flags & DELETION_QUIETLY)
    for target in targets.items:
        if target.flags & BY_PARTITION and not target.flags & (BY_AUTO | ORIGINAL | BY_INTERNAL | BY_NORMAL | REVERSED):
            continue
    # From the last to the first: what is dropped last was found to depend first.
    for target in reversed(targets.items):
        if target.flags & (ORIGINAL | BY_SUBOBJECT):
            continue
        described = object_description(target.address, True)
        if described is None:
            continue
        if target.flags & (BY_AUTO | BY_INTERNAL | BY_PARTITION | BY_EXTENSION):
            continue
        if behavior == RESTRICT:
            other = object_description(target.dependee, True) if target.dependee is not None else None
            lines.append(f"{described} depends on {other}" if other else described)
            ok = False
        else:
            lines.append(f"drop cascades to {described}")
    shown = lines[:MAX_REPORTED]
    if len(lines) > MAX_REPORTED:
        rest = len(lines) - MAX_REPORTED
        shown.append(f"and {rest} other object{'' if rest == 1 else 's'} (see server log for list)")
    if not ok:
        text = (
            f"cannot drop {object_description(original)} because other objects depend on it"
            if original is not None
            else "cannot drop desired object(s) because other objects depend on them"
        )
        raise SqlError(
            errcode.DEPENDENT_OBJECTS_STILL_EXIST,
            text,
            detail="\n".join(shown),
            detail_log="\n".join(lines),
            hint="Use DROP ... CASCADE to drop the dependent objects too.",
        )
    if quiet or not lines:
        return
    if len(lines) == 1:
        report(Severity.NOTICE, lines[0])
    else:
        report(Severity.NOTICE, f"drop cascades to {len(lines)} other objects", detail="\n".join(shown))


def perform_deletion(address: ObjectAddress, behavior: int, flags: int = 0) -> None:
    """Drop an object and, under CASCADE, what depends on it (performDeletion)."""
    perform_multiple_deletions([address], behavior, flags)


def perform_multiple_deletions(addresses: Sequence[ObjectAddress], behavior: int, flags: int = 0) -> None:
    """Drop several objects; that they depend on one another does not matter (performMultipleDeletions)."""
    if not addresses:
        return
    targets = _Targets()
    for address in addresses:
        lock_for_deletion(address, flags)
        _find_dependents(address, ORIGINAL, flags, [], targets, addresses, flags)
    _report(targets, behavior, addresses[0] if len(addresses) == 1 else None, flags)
    for target in targets.items:
        if flags & DELETION_SKIP_ORIGINAL and target.flags & ORIGINAL:
            continue
        if target.flags & BY_SUBOBJECT:
            continue
        delete_one(target.address, flags)


def delete_one(address: ObjectAddress, flags: int = 0) -> None:
    """Drop one object, whose dependents are gone, and all records of it (deleteOneObject)."""
    for hook in post_drop_hooks:
        hook(address)
    drop = droppers.get(address.classid)
    if drop is None:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"dropping {object_description(address)} is not supported yet")
    drop(address, flags)
    for row in scan_rows("pg_depend", classid=address.classid, objid=address.objid):
        if address.subid in (0, row.objsubid):
            delete_row(row)
    delete_shared_dependencies_of(address.classid, address.objid, address.subid)
    delete_comments(address)
    for row in scan_rows("pg_seclabel", objoid=address.objid, classoid=address.classid):
        if address.subid in (0, row.objsubid):
            delete_row(row)
    for row in scan_rows("pg_init_privs", objoid=address.objid, classoid=address.classid):
        if address.subid in (0, row.objsubid):
            delete_row(row)
    # What this step changed must be visible to the next one.
    command_counter_increment()


def delete_comments(address: ObjectAddress) -> None:
    """Remove the comments on an object, on its columns too for a whole one."""
    for row in scan_rows("pg_description", objoid=address.objid, classoid=address.classid):
        if address.subid in (0, row.objsubid):
            delete_row(row)


def delete_shared_comments(classid: int, objid: int) -> None:
    """Remove the comment on a database, role or tablespace."""
    for row in scan_rows("pg_shdescription", objoid=objid, classoid=classid):
        delete_row(row)


def drop_row(catalog: str) -> Callable[[ObjectAddress, int], None]:
    """A dropper for objects that are no more than their row."""

    def drop(address: ObjectAddress, _flags: int) -> None:
        for row in scan_rows(catalog, oid=address.objid):
            delete_row(row)

    return drop


for _classid, _catalog in {
    oa.CAST: "pg_cast", oa.COLLATION: "pg_collation", oa.CONVERSION: "pg_conversion", oa.LANGUAGE: "pg_language",
    oa.OPERATOR: "pg_operator", oa.OPCLASS: "pg_opclass", oa.AM: "pg_am", oa.AMOP: "pg_amop", oa.AMPROC: "pg_amproc",
    oa.NAMESPACE: "pg_namespace", oa.TS_PARSER: "pg_ts_parser", oa.TS_DICT: "pg_ts_dict", oa.POLICY: "pg_policy",
    oa.TS_TEMPLATE: "pg_ts_template", oa.FDW: "pg_foreign_data_wrapper", oa.FOREIGN_SERVER: "pg_foreign_server",
    oa.USER_MAPPING: "pg_user_mapping", oa.DEFAULT_ACL: "pg_default_acl", oa.EXTENSION: "pg_extension",
    oa.EVENT_TRIGGER: "pg_event_trigger", oa.TRANSFORM: "pg_transform", oa.PUBLICATION: "pg_publication",
    oa.PUBLICATION_REL: "pg_publication_rel", oa.PUBLICATION_NAMESPACE: "pg_publication_namespace",
    oa.OPFAMILY: "pg_opfamily",
}.items():  # fmt: skip
    droppers[_classid] = drop_row(_catalog)

__all__ = [
    "AUTO", "AUTO_EXTENSION", "CASCADE", "EXTENSION_MEMBER", "INTERNAL", "NORMAL", "PARTITION_PRI",
    "PARTITION_SEC", "RESTRICT", "ObjectAddress", "change_dependency", "change_owner_dependency",
    "change_tablespace_dependency", "check_shared_dependencies", "constraint_of_index", "copy_template_dependencies",
    "delete_comments", "delete_dependencies_of", "delete_dependencies_of_kind", "delete_dependency_on", "delete_one",
    "delete_shared_comments", "delete_shared_dependencies_of", "drop_database_dependencies", "drop_row", "droppers",
    "extension_of", "is_pinned", "lock_for_deletion", "new_oid", "perform_deletion", "perform_multiple_deletions",
    "record_dependencies", "record_dependency", "record_owner", "record_shared_dependency", "sequence_owner",
    "sequences_owned_by", "update_acl_dependencies",
]  # fmt: skip
