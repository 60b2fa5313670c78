"""One execution of a cached plan with as little ceremony as possible: what a prepared statement costs.

A client library sends Bind, Describe, Execute and Sync together. When all of them have arrived, name the unnamed portal
and ask for all rows of a single plannable statement whose generic plan is still good, no portal need exist: the plan's
idle executor runs, and one answer goes out. The same for a simple query that has found its plan. Everything else takes
the ordinary path (`extended`, `portals`), whose effects this must equal.
"""

from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint32_t
from tusk.transaction._state cimport get_current_timestamp
from tusk.transaction._snapshot cimport (
    Snapshot, get_transaction_snapshot, pop_active_snapshot, push_active_snapshot, update_active_snapshot_command_id)
from tusk.transaction._xact cimport (
    get_current_statement_start_timestamp, is_aborted_transaction_block_state, is_transaction_block,
    set_current_statement_start_timestamp)

from tusk.backend import client_text
from tusk.backend.wire_destination import column_formats, describe
from tusk.catalog.oids import INT2OID, INT4OID, INT8OID
from tusk.commands.completion import command_tag, with_row_count
from tusk.commands.portals import plan_columns
from tusk.config import settings
from tusk.memory import _interrupts
from tusk.sql.execute import Executor
from tusk.sql.execute._row_encoder import RowEncoder
from tusk.sql.nodes import (
    CMD_DELETE, CMD_INSERT, CMD_SELECT, CMD_UPDATE, TRANS_STMT_BEGIN, TRANS_STMT_COMMIT)
from tusk.stats import session_info
from tusk.stats._activity import STATE_RUNNING, report_activity
from tusk.stats.title import set_title
from tusk.transaction.xact import begin_transaction_block, end_transaction_block
from tusk.types.codec import codec_for

cdef bytes BIND_COMPLETE = b"2\x00\x00\x00\x04"
cdef bytes NO_DATA = b"n\x00\x00\x00\x04"
cdef int SELECT = CMD_SELECT
_SAFE_DIGITS = {INT2OID: 4, INT4OID: 9, INT8OID: 18}
cdef tuple PLANNABLE = (CMD_SELECT, CMD_INSERT, CMD_UPDATE, CMD_DELETE)


# What the log wants of statements (`statement_log` keeps these): from which log_statement on one is shown, whether every
# duration is wanted, and from how many microseconds on a duration is; -1: none.
cdef int log_level = 0
cdef bint log_each_time = False
cdef int64_t log_slow_us = -1
cdef object log_slow_execute = None
cdef object log_slow_query = None


def set_statement_logging(int level, bint each_time, int64_t slow_us) -> None:
    """Take over what the settings ask for. What the fast path does not log itself goes the ordinary way."""
    global log_level, log_each_time, log_slow_us
    log_level, log_each_time, log_slow_us = level, each_time, slow_us


def set_slow_statement_hooks(execute, query) -> None:
    """Who logs a statement that took longer than log_slow_us."""
    global log_slow_execute, log_slow_query
    log_slow_execute, log_slow_query = execute, query


cdef inline bint _took_long() noexcept:
    return get_current_timestamp() - get_current_statement_start_timestamp() >= log_slow_us


cdef class FastPlan:
    """What executions of one generic plan share."""

    cdef readonly object planned
    cdef readonly bint is_select
    cdef readonly int log_level         # the least log_statement that shows it
    cdef readonly str tag
    cdef readonly str count_tag         # the tag in CommandComplete, before the count
    cdef readonly bytes query
    cdef readonly list columns
    cdef readonly list inputs           # text decoder of each parameter
    cdef readonly list receivers
    cdef readonly list digits           # how many plain digits a parameter takes as an integer for certain; 0: no integer
    cdef dict encoders
    cdef dict described

    def __init__(self, source, planned):
        codecs = [codec_for(oid) for oid in source.param_types]
        self.planned = planned
        self.is_select = planned.commandType == SELECT
        self.log_level = 3 if self.is_select else 2
        self.tag = command_tag(planned)
        self.count_tag = "SELECT" if self.is_select else self.tag
        self.query = source.text.encode("utf-8", "surrogateescape")
        self.columns = plan_columns(planned) if self.is_select else []
        self.inputs = [codec.input for codec in codecs]
        self.receivers = [codec.receive for codec in codecs]
        self.digits = [_SAFE_DIGITS.get(oid, 0) for oid in source.param_types]
        self.encoders = {}
        self.described = {}

    cdef object encoder(self, tuple formats):
        key = (formats, settings.DateStyle, settings.extra_float_digits, settings.bytea_output)
        found = self.encoders.get(key)
        if found is None:
            found = RowEncoder([c.type_oid for c in self.columns], column_formats(list(formats), len(self.columns)))
            self.encoders[key] = found
        return found

    cdef bytes description(self, tuple formats):
        """RowDescription, or NoData."""
        if not self.is_select:
            return NO_DATA
        found = self.described.get(formats)
        if found is None:
            found = self.described[formats] = describe(self.columns, list(formats))
        return found


cdef FastPlan fast_plan(source):
    """The FastPlan of a source with a generic plan that qualifies, else None."""
    cdef dict described = source.described
    found = described.get("fast", False)
    if found is not False:
        return found
    found = None
    if len(source.generic) == 1:
        planned = source.generic[0]
        if (
            planned.commandType in PLANNABLE
            and planned.canSetTag
            and not planned.hasReturning
            and not planned.hasModifyingCTE
        ):
            found = FastPlan(source, planned)
    described["fast"] = found
    return found


def prepare_source(source) -> None:
    """Make what the first execution of a source's generic plan would make."""
    cdef FastPlan fast = fast_plan(source)
    if fast is None:
        return
    fast.description(())
    if fast.is_select:
        fast.encoder(())
    if not source.executors:
        executor = Executor(fast.planned, source.text)
        executor.end()
        source.executors.append(executor)


cdef inline uint32_t u32(const unsigned char *p) noexcept nogil:
    return (<uint32_t> p[0] << 24) | (<uint32_t> p[1] << 16) | (<uint32_t> p[2] << 8) | p[3]


cdef inline uint16_t u16(const unsigned char *p) noexcept nogil:
    return <uint16_t> ((p[0] << 8) | p[1])


cdef int _rest(bytes buffer, Py_ssize_t at) noexcept:
    """What follows a Bind: Execute (unnamed portal, no limit) and Sync, perhaps with Describe before them.

    1 with Describe, 0 without; -1 for anything else, or not all here yet.
    """
    cdef const unsigned char *p = <const unsigned char *> <const char *> buffer
    cdef Py_ssize_t left = len(buffer) - at
    cdef int described = 0
    p += at
    if left >= 7 and p[0] == c'D' and u32(p + 1) == 6 and p[5] == c'P' and p[6] == 0:
        described = 1
        p += 7
        left -= 7
    if left != 15 or p[0] != c'E' or u32(p + 1) != 9 or p[5] != 0 or u32(p + 6) != 0:
        return -1
    if p[10] != c'S' or u32(p + 11) != 4:
        return -1
    return described


cdef str transaction_tag(source):
    """BEGIN or COMMIT for a prepared transaction statement without options, else None."""
    described = source.described
    found = described.get("transaction", False)
    if found is False:
        statement = source.raw.stmt if source.raw is not None else None
        found = None
        if type(statement).__name__ == "TransactionStmt" and not statement.options and not statement.chain:
            if statement.kind == TRANS_STMT_BEGIN:
                found = "BEGIN"
            elif statement.kind == TRANS_STMT_COMMIT:
                found = "COMMIT"
        described["transaction"] = found
    return found


cdef bint _run_transaction(session, str name, source, str tag, bint described, Py_ssize_t stream_end) except -1:
    """BEGIN and COMMIT: the state machine and an answer."""
    if log_level == 3:
        return False
    if tag == "BEGIN" and is_transaction_block():
        return False            # a warning is due
    if tag == "COMMIT" and (is_aborted_transaction_block_state() or not is_transaction_block()):
        return False
    session.portals.drop("")
    session.connection._at = stream_end - 5
    session.doing_extended = True
    info = session_info.current
    info.query = source.text
    info.command_tag = tag
    report_activity(STATE_RUNNING, source.text.encode("utf-8", "surrogateescape"))
    set_current_statement_start_timestamp()
    set_title(tag)
    session.start_command()
    if tag == "BEGIN":
        begin_transaction_block()
        answer = [BIND_COMPLETE + NO_DATA if described else BIND_COMPLETE, b"C\x00\x00\x00\x0aBEGIN\x00"]
    else:
        if not end_transaction_block(False):
            return False
        answer = [BIND_COMPLETE + NO_DATA if described else BIND_COMPLETE, b"C\x00\x00\x00\x0bCOMMIT\x00"]
    session.connection._at = stream_end
    session.doing_extended = False
    session.finish_command()
    if log_slow_us >= 0 and _took_long():
        log_slow_execute(name, source.text, [], [])
    session.become_ready(answer)
    return True


def run_bind(session, bytes body) -> bool:
    """Carry out a Bind and what came with it; False where it needs the ordinary path and nothing has been done.

    Errors leave the stream at the Sync, as the ordinary path would.
    """
    cdef const unsigned char *p = <const unsigned char *> <const char *> body
    cdef const unsigned char *end = p + len(body)
    cdef Py_ssize_t length
    cdef int described, nformats, nparams, i, code
    cdef FastPlan fast
    if log_each_time:
        return False
    connection = session.connection
    cdef bytes buffer = connection._in
    described = _rest(buffer, connection._at)
    if described < 0 or not client_text.is_plain or p == end or p[0] != 0:
        return False
    length = body.find(b"\0", 1)
    if length < 0:
        return False
    name = body[1:length].decode("utf-8", "surrogateescape")
    prepared = session.extended.unnamed if length == 1 else session.prepared.find(name)
    if prepared is None:
        return False
    source = prepared.source
    if source.generic is None and source.is_utility and len(source.param_types) == 0:
        tag = transaction_tag(source)
        return tag is not None and _run_transaction(session, name, source, tag, described, len(buffer))
    if source.generic is None or is_aborted_transaction_block_state():
        return False
    fast = fast_plan(source)
    if fast is None or fast.log_level <= log_level:
        return False
    p += length + 1
    if end - p < 2:
        return False
    nformats = u16(p)
    p += 2
    cdef const unsigned char *formats = p
    p += nformats * 2
    if end - p < 2:
        return False
    nparams = u16(p)
    p += 2
    if nparams != len(fast.inputs) or (nformats > 1 and nformats != nparams):
        return False
    cdef list raw = []
    for i in range(nparams):
        if end - p < 4:
            return False
        length = <int32_t> u32(p)
        p += 4
        if length < 0:
            raw.append(None)
            continue
        if end - p < length:
            return False
        raw.append((<const char *> p)[:length])
        p += length
    if end - p < 2:
        return False
    cdef int nresults = u16(p)
    p += 2
    if end - p != nresults * 2:
        return False
    cdef tuple results = ()
    for i in range(nresults):
        results += (u16(p + 2 * i),)
    # From here on it is this path's. Binding the unnamed portal ends the one that may still be there.
    session.portals.drop("")
    connection._at = len(buffer) - 5
    session.doing_extended = True
    _begin(session, source.text, fast)
    if not _still_good(source):
        # Something changed while the locks were taken: let the ordinary path plan again.
        connection._at = len(buffer) - 15 - (7 if described else 0)
        return False
    cdef list values = []
    for i in range(nparams):
        data = raw[i]
        if data is None:
            values.append(None)
            continue
        code = 0 if nformats == 0 else u16(formats + (2 * i if nformats > 1 else 0))
        if code == 1:
            values.append(fast.receivers[i](data))
        elif code == 0:
            if 0 < len(<bytes> data) <= <int> fast.digits[i] and (<bytes> data).isdigit():
                values.append(int(data))
            else:
                values.append(fast.inputs[i](client_text.to_text(data), -1))
        else:
            return False
    cdef list answer = [BIND_COMPLETE]
    if described:
        answer.append(fast.description(results))
    _run(session, source, fast, values, results, answer)
    if log_slow_us >= 0 and _took_long():
        log_slow_execute(prepared.name, source.text, values, source.param_types)
    connection._at = len(buffer)
    session.doing_extended = False
    session.finish_command()
    session.become_ready(answer)
    return True


def run_simple(session, source, list values) -> bool:
    """Carry out a simple query through its cached plan; False where that is not possible and nothing has been done."""
    cdef FastPlan fast
    if source.generic is None or log_each_time or not client_text.is_plain:
        return False
    fast = fast_plan(source)
    if fast is None or fast.log_level <= log_level or not _still_good(source):
        return False
    session.portals.drop("")
    set_title(fast.tag)
    session_info.current.command_tag = fast.tag
    cdef list answer = [fast.description(())] if fast.is_select else []
    _run(session, source, fast, values, (), answer)
    session.finish_command()
    if log_slow_us >= 0 and _took_long():
        log_slow_query(session_info.current.query)
    session.become_ready(answer)
    return True


cdef int _begin(session, str text, FastPlan fast) except -1:
    """What every command does first."""
    info = session_info.current
    info.query = text
    info.command_tag = fast.tag
    report_activity(STATE_RUNNING, fast.query)
    set_current_statement_start_timestamp()
    set_title(fast.tag)
    session.start_command()
    return 0


cdef bint _still_good(source) except -1:
    """Lock the plan's relations and see that it may still be used."""
    return source.ready_plans() is not None


cdef int _run(session, source, FastPlan fast, list values, tuple formats, list answer) except -1:
    """Execute; the rows and CommandComplete are appended to the answer."""
    cdef list idle = source.executors
    cdef Snapshot snapshot
    cdef long nrows = 0
    cdef long size = 0
    _interrupts.check()
    executor = idle.pop() if idle else Executor(fast.planned, source.text)
    snapshot = get_transaction_snapshot()
    push_active_snapshot(snapshot)
    try:
        if not fast.is_select:
            update_active_snapshot_command_id()
        encoder = fast.encoder(formats) if fast.is_select else None
        executor.start(values, snapshot)
        while True:
            batch = executor.next_batch()
            if batch is None:
                break
            if encoder is not None:
                nrows += len(batch)
                data = encoder.encode(batch)
                size += len(data)
                answer.append(data)
                if size > 65536:
                    session.connection.send(b"".join(answer))
                    answer.clear()
                    size = 0
        executor.finish()
        if not fast.is_select:
            nrows = executor.processed
    except BaseException:
        session.connection.send(b"".join(answer))
        executor.end()
        raise
    executor.end()
    pop_active_snapshot()
    if source.generic is not None and source.generic[0] is fast.planned and len(idle) < 2:
        idle.append(executor)
    tag = with_row_count(fast.count_tag, nrows).encode()
    answer.append(b"C" + (len(tag) + 5).to_bytes(4, "big") + tag + b"\0")
    return 0
