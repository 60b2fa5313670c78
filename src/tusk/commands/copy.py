"""COPY FROM and COPY TO (copy.c, copyfrom.c, copyto.c).

Data of a client goes through a channel that the session offers: ``session.copy_in(binary, ncolumns)`` answers a
`CopySource`, ``session.copy_out(binary, ncolumns)`` a `CopySink`.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog.cache import lookup, lookup_list
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name, range_var_get_relid
from tusk.catalog.session import session
from tusk.commands._copy_format import CopyFormatter
from tusk.commands._copy_parse import CopyParser
from tusk.commands._row_writer import INSERT_FROZEN, INSERT_SKIP_FSM, RowWriter
from tusk.commands.options import boolean_of, integer_of, position, string_of
from tusk.commands.utility import UtilityContext, prevent_if_read_only, utility
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql import analyze, execute, plan, rewrite
from tusk.sql.analyze.relations import relation_info
from tusk.sql.nodes import RawStmt, enums
from tusk.sql.rewrite.defaults import column_default
from tusk.stats import progress
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact
from tusk.types.codec import codec_for
from tusk.types.encoding import _convert, encoding_number

AccessShareLock, RowExclusiveLock = 1, 3
_READ_FILES, _WRITE_FILES, _EXECUTE = 4569, 4570, 4571
_TYPE_FILE, _TYPE_PROGRAM, _TYPE_PIPE = 1, 2, 3     # pg_stat_progress_copy.type
_SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
_CHUNK = 1 << 18


class CopySource(Protocol):
    """Input of COPY FROM STDIN."""

    def read(self) -> bytes | None:
        """The next bytes, as many as have arrived; None at the end. CopyFail raises 57014."""


class CopySink(Protocol):
    """Output of COPY TO STDOUT."""

    def write(self, data: bytes) -> None:
        """Send CopyData messages: text and csv lines come framed as such already, a binary row comes bare."""

    def finish(self) -> None:
        """All has been sent."""


@dataclass
class Options:
    """Options of COPY, checked (CopyFormatOptions)."""

    format: str = "text"
    freeze: bool = False
    delimiter: str = "\t"
    null: str = "\\N"
    header: int = 0
    quote: str = '"'
    escape: str = '"'
    force_quote: list[str] | None = None
    force_quote_all: bool = False
    force_not_null: list[str] | None = None
    force_not_null_all: bool = False
    force_null: list[str] | None = None
    force_null_all: bool = False
    encoding: str | None = None
    default: str | None = None
    on_error: str = "stop"
    reject_limit: int = 0
    log_verbosity: str = "default"
    given: set[str] = field(default_factory=set)

    @property
    def csv(self) -> bool:
        """Whether the format is csv."""
        return self.format == "csv"

    @property
    def binary(self) -> bool:
        """Whether the format is binary."""
        return self.format == "binary"


def _header(item: Any, is_from: bool) -> int:
    if item.arg is None:
        return 1
    if hasattr(item.arg, "ival"):
        if item.arg.ival in (0, 1):
            return int(item.arg.ival)
    else:
        text = string_of(item).lower()
        if text in ("true", "on"):
            return 1
        if text in ("false", "off"):
            return 0
        if text == "match":
            if not is_from:
                raise SqlError(errcode.FEATURE_NOT_SUPPORTED, 'cannot use "match" with HEADER in COPY TO')
            return 2
    raise SqlError(errcode.SYNTAX_ERROR, f'{item.defname} requires a Boolean value or "match"')


def _names(item: Any) -> list[str]:
    if isinstance(item.arg, list):
        return [part.sval for part in item.arg]
    message = f'argument to option "{item.defname}" must be a list of column names'
    raise SqlError(errcode.INVALID_PARAMETER_VALUE, message)


def read_options(items: list[Any], is_from: bool, context: UtilityContext) -> Options:
    """The options of a statement (ProcessCopyOptions)."""
    options = Options()
    for item in items:
        name = item.defname
        if name in options.given:
            raise SqlError(
                errcode.SYNTAX_ERROR, "conflicting or redundant options", position=position(context, item.location)
            )
        options.given.add(name)
        _read_option(options, name, item, is_from, context)
    _check_options(options, is_from)
    return options


def _read_option(options: Options, name: str, item: Any, is_from: bool, context: UtilityContext) -> None:
    at = position(context, item.location)
    match name:
        case "format":
            options.format = string_of(item)
            if options.format not in ("text", "csv", "binary"):
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, f'COPY format "{options.format}" not recognized', position=at
                )
        case "freeze":
            options.freeze = boolean_of(item)
        case "delimiter":
            options.delimiter = string_of(item)
        case "null":
            options.null = string_of(item)
        case "header":
            options.header = _header(item, is_from)
        case "quote":
            options.quote = string_of(item)
        case "escape":
            options.escape = string_of(item)
        case "force_quote" | "force_not_null" | "force_null":
            if type(item.arg).__name__ == "A_Star":
                setattr(options, f"{name}_all", True)
            else:
                setattr(options, name, _names(item))
        case "encoding":
            options.encoding = string_of(item)
            if encoding_number(options.encoding) < 0:
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, 'argument to option "encoding" must be a valid encoding name',
                    position=at,
                )
        case "default":
            options.default = string_of(item)
        case "on_error":
            if not is_from:
                message = "COPY ON_ERROR cannot be used with COPY TO"
                raise SqlError(errcode.INVALID_PARAMETER_VALUE, message, position=at)
            options.on_error = string_of(item)
            if options.on_error not in ("stop", "ignore"):
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, f'COPY ON_ERROR "{options.on_error}" not recognized', position=at
                )
        case "reject_limit":
            options.reject_limit = integer_of(item)
            if options.reject_limit <= 0:
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, f"REJECT_LIMIT ({options.reject_limit}) must be greater than zero"
                )
        case "log_verbosity":
            options.log_verbosity = string_of(item)
            if options.log_verbosity not in ("silent", "default", "verbose"):
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE,
                    f'COPY LOG_VERBOSITY "{options.log_verbosity}" not recognized', position=at,
                )
        case "convert_selectively":
            raise feature_not_supported("COPY option convert_selectively")
        case _:
            raise SqlError(errcode.SYNTAX_ERROR, f'option "{name}" not recognized', position=at)


def _check_options(options: Options, is_from: bool) -> None:
    given = options.given

    def refuse(text: str, code: str = errcode.INVALID_PARAMETER_VALUE) -> None:
        raise SqlError(code, text)

    if options.csv:
        if "delimiter" not in given:
            options.delimiter = ","
        if "null" not in given:
            options.null = ""
        if "escape" not in given:
            options.escape = options.quote
    if options.binary:
        for name in ("delimiter", "null", "default"):
            if name in given:
                refuse(f"cannot specify {name.upper()} in BINARY mode", errcode.SYNTAX_ERROR)
        if options.on_error != "stop":
            refuse("only ON_ERROR STOP is allowed in BINARY mode", errcode.SYNTAX_ERROR)
    if len(options.delimiter.encode()) != 1:
        refuse("COPY delimiter must be a single one-byte character", errcode.FEATURE_NOT_SUPPORTED)
    if options.delimiter in "\r\n":
        refuse("COPY delimiter cannot be newline or carriage return")
    if any(ch in options.null for ch in "\r\n"):
        refuse("COPY null representation cannot use newline or carriage return")
    if options.default is not None and any(ch in options.default for ch in "\r\n"):
        refuse("COPY default representation cannot use newline or carriage return")
    if not options.csv and options.delimiter in "\\.abcdefghijklmnopqrstuvwxyz0123456789":
        refuse(f'COPY delimiter cannot be "{options.delimiter}"')
    if options.binary and options.header:
        refuse("cannot specify HEADER in BINARY mode", errcode.FEATURE_NOT_SUPPORTED)
    for name in ("quote", "escape"):
        if not options.csv and name in given:
            refuse(f"COPY {name.upper()} requires CSV mode", errcode.FEATURE_NOT_SUPPORTED)
        if options.csv and len(getattr(options, name).encode()) != 1:
            refuse(f"COPY {name} must be a single one-byte character", errcode.FEATURE_NOT_SUPPORTED)
    if options.csv and options.delimiter == options.quote:
        refuse("COPY delimiter and quote must be different")
    for name, direction in (("force_quote", "COPY FROM"), ("force_not_null", "COPY TO"), ("force_null", "COPY TO")):
        if name in given:
            if not options.csv:
                refuse(f"COPY {name.upper()} requires CSV mode", errcode.FEATURE_NOT_SUPPORTED)
            if is_from == (direction == "COPY FROM"):
                refuse(f"COPY {name.upper()} cannot be used with {direction}", errcode.FEATURE_NOT_SUPPORTED)
    if options.delimiter in options.null:
        refuse("COPY delimiter character must not appear in the NULL specification")
    if options.csv and options.quote in options.null:
        refuse("CSV quote character must not appear in the NULL specification")
    if options.freeze and not is_from:
        refuse("COPY FREEZE cannot be used with COPY TO", errcode.FEATURE_NOT_SUPPORTED)
    if options.default is not None:
        if not is_from:
            refuse("COPY DEFAULT cannot be used with COPY TO", errcode.FEATURE_NOT_SUPPORTED)
        if options.delimiter in options.default:
            refuse("COPY delimiter character must not appear in the DEFAULT specification")
        if options.csv and options.quote in options.default:
            refuse("CSV quote character must not appear in the DEFAULT specification")
        if options.default == options.null:
            refuse("NULL specification and DEFAULT specification cannot be the same")
    if options.reject_limit and options.on_error != "ignore":
        refuse("COPY REJECT_LIMIT requires ON_ERROR to be set to IGNORE")


@utility("CopyStmt")
def copy(statement: Any, context: UtilityContext) -> str:
    """COPY (DoCopy)."""
    if statement.filename is not None:
        _require_file_access(statement)
    options = read_options(statement.options, statement.is_from, context)
    if statement.is_from:
        return f"COPY {_copy_from(statement, options, context)}"
    return f"COPY {_copy_to(statement, options, context)}"


def _require_file_access(statement: Any) -> None:
    user = session.current_user_id
    if statement.is_program:
        role, what = _EXECUTE, "to or from an external program"
        name = "pg_execute_server_program"
    elif statement.is_from:
        role, what, name = _READ_FILES, "from a file", "pg_read_server_files"
    else:
        role, what, name = _WRITE_FILES, "to a file", "pg_write_server_files"
    if not acl.has_privs_of_role(user, role):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE, f"permission denied to COPY {what}",
            detail=f'Only roles with privileges of the "{name}" role may COPY {what}.',
            hint="Anyone can COPY to stdout or from stdin. psql's \\copy command also works for anyone.",
        )


def _columns(relid: int, names: list[Any]) -> list[Any]:
    """pg_attribute rows to copy, in order (CopyGetAttnums)."""
    rows = sorted(
        (row for row in lookup_list(c.ATTNUM, relid) if row.attnum > 0 and not row.attisdropped),
        key=lambda row: row.attnum,
    )
    if not names:
        return [row for row in rows if not row.attgenerated]
    chosen: list[Any] = []
    for node in names:
        row = next((row for row in rows if row.attname == node.sval), None)
        if row is None:
            raise SqlError(
                errcode.UNDEFINED_COLUMN,
                f'column "{node.sval}" of relation "{lookup(c.RELOID, relid).relname}" does not exist',
            )
        if row.attgenerated:
            raise SqlError(
                errcode.INVALID_COLUMN_REFERENCE, f'column "{row.attname}" is a generated column',
                detail="Generated columns cannot be used in COPY.",
            )
        if row in chosen:
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column "{row.attname}" specified more than once')
        chosen.append(row)
    return chosen


def _forced(names: list[str] | None, every: bool, columns: list[Any], option: str) -> list[str]:
    if every:
        return [row.attname for row in columns]
    for name in names or ():
        if name not in [row.attname for row in columns]:
            raise SqlError(
                errcode.INVALID_COLUMN_REFERENCE, f'{option} column "{name}" not referenced by COPY'
            )
    return list(names or ())


def _check_privileges(relid: int, columns: list[Any], mode: int) -> None:
    user = session.current_user_id
    if acl.class_acl_mask(relid, user, mode):
        return
    for row in columns:
        if not acl.attribute_aclcheck(relid, row.attnum, user, mode):
            raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, relid))


def _conversion(options: Options) -> tuple[str, str] | None:
    """(client encoding, server encoding) where they differ."""
    client = (options.encoding or str(settings.client_encoding)).upper().replace("-", "")
    if client in ("UTF8", "UNICODE", "SQL_ASCII"):
        return None
    return options.encoding or str(settings.client_encoding), "UTF8"


# COPY FROM


def _copy_from(statement: Any, options: Options, context: UtilityContext) -> int:
    relid = range_var_get_relid(statement.relation, RowExclusiveLock)
    columns = _columns(relid, statement.attlist)
    rel = relation_open(relid, 0)
    try:
        _check_privileges(relid, columns, acl.ACL_INSERT)
        if rel.persistence != "t":
            prevent_if_read_only("COPY FROM")
        _check_target(rel)
        insert_options = 0
        if rel.create_subid or rel.first_locator_subid:
            insert_options |= INSERT_SKIP_FSM
        if options.freeze:
            subid = xact.current_subtransaction_id()
            if subid not in (rel.create_subid, rel.new_locator_subid):
                raise SqlError(
                    errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                    "cannot perform COPY FREEZE because the table was not created or truncated in the current "
                    "subtransaction",
                )
            insert_options |= INSERT_FROZEN
        with _active_snapshot(), _source(statement, options, context, len(columns)) as read:
            tracker = _Progress(relid, statement, is_from=True)
            loaded = _load(rel, columns, options, statement, context, tracker.reader(read), insert_options, tracker)
            tracker.end()
            return loaded
    finally:
        relation_close(rel, 0)


@contextmanager
def _active_snapshot() -> Iterator[Any]:
    if snapshots.is_active_set():
        yield snapshots.active_snapshot()
        return
    snapshots.push_active(snapshots.transaction_snapshot())
    try:
        yield snapshots.active_snapshot()
    finally:
        snapshots.pop_active()


def _check_target(rel: Any) -> None:
    kind = rel.form.relkind
    name = rel.name
    if kind in "pf":
        raise feature_not_supported("COPY to partitioned and foreign tables")
    if kind != "r":
        words = {"v": "view", "m": "materialized view", "S": "sequence"}
        if kind in words:
            hint = "To enable copying to a view, provide an INSTEAD OF INSERT trigger." if kind == "v" else None
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot copy to {words[kind]} "{name}"', hint=hint)
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot copy to non-table relation "{name}"')
    if rel.form.relrowsecurity:
        raise feature_not_supported("COPY FROM with row-level security")


def _load(
    rel: Any, columns: list[Any], options: Options, statement: Any, context: UtilityContext,
    read: Callable[[], bytes | None], insert_options: int, tracker: _Progress,
) -> int:  # fmt: skip
    writer = RowWriter(rel, insert_options)
    try:
        compiler = writer.result_relation.compiler()
        chosen = {row.attnum for row in columns}
        attributes = [row for row in lookup_list(c.ATTNUM, rel.rd_id) if row.attnum > 0 and not row.attisdropped]
        defaults = []
        marked = {}
        for attribute in attributes:
            if attribute.attgenerated:
                continue
            if attribute.attnum not in chosen or options.default is not None:
                tree = column_default(relation_info(rel.rd_id), attribute.attnum)
                if tree is None:
                    continue
                compiled = compiler.compile(tree)
                if attribute.attnum not in chosen:
                    defaults.append((attribute.attnum - 1, compiled))
                else:
                    marked[attribute.attnum - 1] = compiled
        where = None
        if statement.whereClause is not None:
            where = compiler.compile(_where(rel, statement.whereClause, context))
        writer.prepare()
        if options.binary:
            return _load_binary(writer, columns, defaults, where, read, tracker)
        rejected = _Rejections(options, rel.name)
        conversion = _conversion(options)
        parser = CopyParser(
            writer, [(row.attnum - 1, row.attname, row.atttypid, row.atttypmod) for row in columns], csv=options.csv,
            delimiter=options.delimiter, null_text=options.null, quote=options.quote, escape=options.escape,
            default_text=options.default, defaults=defaults, marked=marked, where=where, header=options.header,
            decode=None if conversion is None else lambda line: _convert(line, *conversion),
            force_not_null=_forced(options.force_not_null, options.force_not_null_all, columns, "FORCE_NOT_NULL"),
            force_null=_forced(options.force_null, options.force_null_all, columns, "FORCE_NULL"),
            on_error=rejected.note if options.on_error == "ignore" else None,
        )
        try:
            while (data := read()) is not None:
                parser.feed(data)
                tracker.rows(writer.processed, parser.excluded, parser.skipped)
            parser.finish()
            nrows = writer.finish()
        except SqlError as error:
            _add_context(error, rel.name, parser, writer)
            raise
        rejected.report(parser.skipped)
        return int(nrows)
    finally:
        writer.close()


class _Progress:
    """What pg_stat_progress_copy shows of one COPY."""

    def __init__(self, relid: int, statement: Any, *, is_from: bool) -> None:
        progress.start_command(progress.COMMAND_COPY, relid)
        size = 0
        if statement.is_program:
            channel = _TYPE_PROGRAM
        elif statement.filename is not None:
            channel = _TYPE_FILE
            size = os.stat(statement.filename).st_size if is_from else 0
        else:
            channel = _TYPE_PIPE
        progress.update_multi({
            progress.Copy.COMMAND: 1 if is_from else 2, progress.Copy.TYPE: channel, progress.Copy.BYTES_TOTAL: size
        })

    def reader(self, read: Callable[[], bytes | None]) -> Callable[[], bytes | None]:
        """The same source, its bytes counted."""

        def counted() -> bytes | None:
            data = read()
            if data is not None:
                progress.incr_param(progress.Copy.BYTES_PROCESSED, len(data))
            return data

        return counted

    def writer(self, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """The same sink, its bytes counted."""

        def counted(data: bytes) -> None:
            write(data)
            progress.incr_param(progress.Copy.BYTES_PROCESSED, len(data))

        return counted

    def rows(self, processed: int, excluded: int = 0, skipped: int = 0) -> None:
        """So many rows so far: copied, left out by WHERE, left out for their errors."""
        at = progress.Copy
        progress.update_multi(
            {at.TUPLES_PROCESSED: processed, at.TUPLES_EXCLUDED: excluded, at.TUPLES_SKIPPED: skipped}
        )

    def end(self) -> None:
        """Done; where it fails, the abort of the transaction says so."""
        progress.end_command()


class _Rejections:
    """Rows that ON_ERROR IGNORE passes over."""

    def __init__(self, options: Options, relation: str) -> None:
        self.options = options
        self.relation = relation
        self.count = 0

    def note(self, error: SqlError, column: str, line: int, text: str | None) -> None:
        """One more; 22P02 beyond the limit."""
        self.count += 1
        if self.options.log_verbosity == "verbose":
            shown = f'"{text}"' if text is not None else "null input"
            report(
                Severity.NOTICE,
                f'skipping row due to data type incompatibility at line {line} for column "{column}": {shown}',
            )
        if self.options.reject_limit and self.count > self.options.reject_limit:
            raise SqlError(
                errcode.INVALID_TEXT_REPRESENTATION,
                f"skipped more than REJECT_LIMIT ({self.options.reject_limit}) rows due to data type incompatibility",
            )
        del error

    def report(self, count: int) -> None:
        """The closing notice."""
        if count and self.options.log_verbosity != "silent":
            rows = "row was" if count == 1 else "rows were"
            report(Severity.NOTICE, f"{count} {rows} skipped due to data type incompatibility")


def _add_context(error: SqlError, relation: str, parser: Any, writer: Any) -> None:
    """``COPY t, line 3, column a: "x"`` (CopyFromErrorCallback)."""
    if error.context:
        return
    if writer.failed_line:
        error.context = f"COPY {relation}, line {writer.failed_line}"
        return
    number = parser.line_number
    if not number:
        return
    if parser.field_name is not None:
        text = parser.field_text
        shown = "null input" if text is None else f'"{_limited(text)}"'
        error.context = f"COPY {relation}, line {number}, column {parser.field_name}: {shown}"
        return
    line = parser.current_line()
    error.context = f"COPY {relation}, line {number}" + (f': "{_limited(line)}"' if line is not None else "")


def _limited(text: str) -> str:
    data = text.encode("utf-8", "replace")
    return text if len(data) <= 100 else data[:100].decode("utf-8", "ignore") + "..."


def _where(rel: Any, raw: Any, context: UtilityContext) -> Any:
    from tusk.commands.expressions import state_for
    from tusk.sql.analyze.clauses import transform_where
    from tusk.sql.analyze.collate import assign_expr_collations
    from tusk.sql.analyze.state import ExprKind

    pstate = state_for(rel.rd_id, context.query_text)
    tree = transform_where(pstate, raw, ExprKind.COPY_WHERE, "WHERE")
    assign_expr_collations(pstate, tree)
    return tree


def _load_binary(
    writer: Any, columns: list[Any], defaults: list[Any], where: Any, read: Callable[[], bytes | None],
    tracker: _Progress,
) -> int:  # fmt: skip
    """Binary rows, one by one through the codecs."""
    if defaults or where is not None:
        raise feature_not_supported("COPY FROM in binary format with defaults of columns left out or WHERE")
    source = _Bytes(read)
    if source.take(11) != _SIGNATURE:
        raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "COPY file signature not recognized")
    flags = source.integer(4, "invalid COPY file header (missing flags)")
    if flags & (1 << 16):
        raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "invalid COPY file header (WITH OIDS)")
    if flags >> 16 & 0xFFFF:
        raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "unrecognized critical flags in COPY file header")
    source.take(source.integer(4, "invalid COPY file header (missing length)"))
    codecs = [codec_for(row.atttypid) for row in columns]
    natts = len(writer.rel.desc.names)
    while True:
        raw = source.take(2)
        if not raw:
            break
        count = int.from_bytes(raw, "big", signed=True)
        if count == -1:
            if source.take(1):
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "received copy data after EOF marker")
            break
        if count != len(columns):
            raise SqlError(
                errcode.BAD_COPY_FILE_FORMAT, f"row field count is {count}, expected {len(columns)}"
            )
        values: list[Any] = [None] * natts
        for row, codec in zip(columns, codecs, strict=True):
            size = source.integer(4, "unexpected EOF in COPY data", signed=True)
            if size == -1:
                continue
            if size < 0:
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "invalid field size")
            data = source.take(size)
            if len(data) < size:
                raise SqlError(errcode.BAD_COPY_FILE_FORMAT, "unexpected EOF in COPY data")
            values[row.attnum - 1] = codec.receive(data, row.atttypmod)
        writer.add_values(values)
        tracker.rows(writer.processed)
    return int(writer.finish())


class _Bytes:
    """A stream of chunks read by length."""

    def __init__(self, read: Callable[[], bytes | None]) -> None:
        self.read = read
        self.data = b""
        self.at = 0

    def take(self, size: int) -> bytes:
        """The next bytes; fewer at the end of the input."""
        while len(self.data) - self.at < size:
            more = self.read()
            if more is None:
                break
            self.data = self.data[self.at :] + more
            self.at = 0
        result = self.data[self.at : self.at + size]
        self.at += len(result)
        return result

    def integer(self, size: int, message: str, *, signed: bool = False) -> int:
        """The next big-endian number."""
        raw = self.take(size)
        if len(raw) < size:
            raise SqlError(errcode.BAD_COPY_FILE_FORMAT, message)
        return int.from_bytes(raw, "big", signed=signed)


@contextmanager
def _source(
    statement: Any, options: Options, context: UtilityContext, ncolumns: int
) -> Iterator[Callable[[], bytes | None]]:
    """Where the input comes from: a function that gives the next chunk, None at the end."""
    if statement.filename is None:
        channel: CopySource = context.session.copy_in(options.binary, ncolumns)
        yield channel.read
        return
    if statement.is_program:
        process = subprocess.Popen(statement.filename, shell=True, stdout=subprocess.PIPE)
        assert process.stdout is not None
        output = process.stdout
        yield lambda: output.read(_CHUNK) or None
        output.close()
        _check_program(process, statement.filename)
        return
    try:
        file = open(_server_path(statement.filename), "rb")  # noqa: SIM115
    except OSError as error:
        hint = None
        if isinstance(error, FileNotFoundError | PermissionError):
            hint = ("COPY FROM instructs the PostgreSQL server process to read a file. "
                    "You may want a client-side facility such as psql's \\copy.")
        raise _file_error(f'could not open file "{statement.filename}" for reading', error, hint) from None
    with file:
        if stat.S_ISDIR(os.fstat(file.fileno()).st_mode):
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{statement.filename}" is a directory')
        yield lambda: file.read(_CHUNK) or None


def _server_path(name: str) -> str:
    return name if os.path.isabs(name) else os.path.join(str(settings.data_directory), name)


def _file_error(what: str, error: OSError, hint: str | None = None) -> SqlError:
    codes = {2: errcode.UNDEFINED_FILE, 13: errcode.INSUFFICIENT_PRIVILEGE, 28: errcode.DISK_FULL}
    code = codes.get(error.errno or 0, errcode.IO_ERROR)
    if error.errno == 21:
        code = errcode.WRONG_OBJECT_TYPE
    return SqlError(code, f"{what}: {error.strerror}", hint=hint)


def _check_program(process: Any, command: str) -> None:
    status = process.wait()
    if status:
        words = f"child process exited with exit code {status}" if status > 0 else \
            f"child process was terminated by signal {-status}"
        raise SqlError(errcode.EXTERNAL_ROUTINE_EXCEPTION, f'program "{command}" failed', detail=words)


# COPY TO


def _copy_to(statement: Any, options: Options, context: UtilityContext) -> int:
    text, location, length = context.query_text, context.statement_location, context.statement_length
    names: list[str] | None = None
    relid = 0
    if statement.relation is not None:
        relid = range_var_get_relid(statement.relation, AccessShareLock)
        columns = _columns(relid, statement.attlist)
        _check_privileges(relid, columns, acl.ACL_SELECT)
        _check_copyable(relid)
        row = lookup(c.RELOID, relid)
        names = [attribute.attname for attribute in columns]
        text = "SELECT {} FROM ONLY {}".format(
            ", ".join(quote_identifier(name) for name in names),
            quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname),
        )
        from tusk.sql.parse import parse

        raw = parse(text)[0]
    else:
        raw = RawStmt(stmt=statement.query, stmt_location=location, stmt_len=length)
    query = analyze.analyze(raw, text, [])
    if query.commandType == enums.CMD_UTILITY:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "COPY (SELECT INTO) is not supported"
                       if type(query.utilityStmt).__name__ == "CreateTableAsStmt"
                       else "COPY query must not be a utility command")
    if query.commandType != enums.CMD_SELECT and not query.returningList:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "COPY query must have a RETURNING clause")
    queries = rewrite.rewrite(query)
    if len(queries) != 1:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "multi-statement DO ALSO rules are not supported for COPY")
    planned = plan.plan(queries[0], text, 0, None)
    executor = execute.Executor(planned, text)
    if names is None:
        names = [column.name for column in executor.columns]
    forced = _positions(options, names)
    snapshots.push_active(snapshots.transaction_snapshot())
    try:
        snapshots.update_active_command_id()
        with _sink(statement, options, context, len(names)) as write:
            tracker = _Progress(relid, statement, is_from=False)
            unloaded = _unload(
                executor, names, options, forced, tracker.writer(write), statement.filename is None, tracker
            )
            tracker.end()
            return unloaded
    finally:
        snapshots.pop_active()


def _positions(options: Options, names: list[str]) -> list[int]:
    if options.force_quote_all:
        return list(range(len(names)))
    for name in options.force_quote or ():
        if name not in names:
            raise SqlError(
                errcode.INVALID_COLUMN_REFERENCE, f'FORCE_QUOTE column "{name}" not referenced by COPY'
            )
    return [i for i, name in enumerate(names) if name in (options.force_quote or ())]


def _check_copyable(relid: int) -> None:
    row = lookup(c.RELOID, relid)
    words = {
        "v": "view", "f": "foreign table", "S": "sequence", "p": "partitioned table",
    }  # fmt: skip
    if row.relkind == "m" and not row.relispopulated:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f'cannot copy from unpopulated materialized view "{row.relname}"',
            hint="Use the REFRESH MATERIALIZED VIEW command populate the materialized view first.",
        )
    if row.relkind in words:
        hint = None if row.relkind == "S" else "Try the COPY (SELECT ...) TO variant."
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'cannot copy from {words[row.relkind]} "{row.relname}"', hint=hint
        )
    if row.relkind not in "rm":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot copy from non-table relation "{row.relname}"')


def _unload(
    executor: Any, names: list[str], options: Options, forced: list[int], write: Callable[[bytes], None],
    framed: bool, tracker: _Progress,
) -> int:  # fmt: skip
    types = [column.type_oid for column in executor.columns]
    conversion = _conversion(options)
    if options.binary:
        write(_SIGNATURE + bytes(8))
        codecs = [codec_for(oid) for oid in types]
        count = len(types).to_bytes(2, "big")
    else:
        formatter = CopyFormatter(
            types, csv=options.csv, delimiter=options.delimiter, null_text=options.null, quote=options.quote,
            escape=options.escape, force_quote=forced,
            encode=None if conversion is None else lambda data: _convert(data, conversion[1], conversion[0]),
            framed=framed,
        )
        if options.header:
            write(formatter.format_row(names))
    nrows = 0
    executor.start(None, snapshots.active_snapshot())
    try:
        for batch in executor.run():
            if options.binary:
                for row in batch.rows():
                    write(_binary_row(count, codecs, row))
                    nrows += 1
            else:
                nrows += batch.nsel if hasattr(batch, "nsel") else len(batch)
                write(formatter.format_batch(batch))
            tracker.rows(nrows)
        executor.finish()
    finally:
        executor.end()
    if options.binary:
        write(b"\xff\xff")
    return nrows


def _binary_row(count: bytes, codecs: list[Any], row: tuple[Any, ...]) -> bytes:
    parts = [count]
    for codec, value in zip(codecs, row, strict=True):
        if value is None:
            parts.append(b"\xff\xff\xff\xff")
        else:
            data = codec.send(value)
            parts.append(len(data).to_bytes(4, "big"))
            parts.append(data)
    return b"".join(parts)


@contextmanager
def _sink(
    statement: Any, options: Options, context: UtilityContext, ncolumns: int
) -> Iterator[Callable[[bytes], None]]:
    """Where the output goes."""
    if statement.filename is None:
        channel: CopySink = context.session.copy_out(options.binary, ncolumns)
        yield channel.write
        channel.finish()
        return
    if statement.is_program:
        process = subprocess.Popen(statement.filename, shell=True, stdin=subprocess.PIPE)
        assert process.stdin is not None
        pipe = process.stdin

        def feed(data: bytes) -> None:
            try:
                pipe.write(data)
            except BrokenPipeError:
                _check_program(process, statement.filename)
                raise SqlError(errcode.IO_ERROR, "could not write to COPY program: Broken pipe") from None

        yield feed
        pipe.close()
        _check_program(process, statement.filename)
        return
    if not os.path.isabs(statement.filename):
        raise SqlError(errcode.INVALID_NAME, "relative path not allowed for COPY to file")
    old = os.umask(0o022)
    try:
        file = open(statement.filename, "wb")  # noqa: SIM115
    except OSError as error:
        hint = ("COPY TO instructs the PostgreSQL server process to write a file. "
                "You may want a client-side facility such as psql's \\copy.")
        shown = hint if isinstance(error, FileNotFoundError | PermissionError) else None
        raise _file_error(f'could not open file "{statement.filename}" for writing', error, shown) from None
    finally:
        os.umask(old)
    with file:
        yield lambda data: _write_all(file, data)


def _write_all(file: Any, data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise _file_error("could not write to COPY file", error) from None
