"""Statements whose plan is at hand, from the client's bytes to the answer's, with as little ceremony as possible.

A client library sends Bind, Describe, Execute and Sync together. When they name the unnamed portal and ask for all rows of
a single plannable statement whose generic plan is still good, no portal need exist: the plan's idle executor runs, and one
answer goes out. The same for a simple query whose shape (`_literals`) has been seen before. As long as such messages come,
this module also reads the socket; everything else is handed to the ordinary path (`session`, `extended`, `portals`), whose
effects this must equal. Settings are looked at when they change, not for each statement.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy, memmove, strerror
from tusk._types cimport Datum
from tusk.backend._literals cimport Normalizer
from tusk.memory._interrupts cimport ConfigReloadPending, InterruptPending, check_for_interrupts
from tusk.memory._latch cimport WL_LATCH_SET, WL_POSTMASTER_DEATH, reset_latch, wait_latch
from tusk.sql.execute._batch cimport Batch
from tusk.sql.execute._executor cimport Executor
from tusk.sql.execute._row_encoder cimport RowEncoder
from tusk.sql.execute._state cimport ParamSlot
from tusk.sql.plancache cimport PlanSource, names_changed_at
from tusk.stats._activity cimport (
    ACTIVITY_IDLE, ACTIVITY_IDLEINTRANSACTION, ACTIVITY_IDLEINTRANSACTION_ABORTED, ACTIVITY_RUNNING, late_flush_wanted,
    report_state)
from tusk.stats._title cimport set_title
from tusk.transaction._snapshot cimport (
    Snapshot, get_transaction_snapshot, pop_active_snapshot, push_active_snapshot, update_active_snapshot_command_id)
from tusk.transaction._xact cimport (
    commit_transaction_command, get_current_statement_start_timestamp, get_current_timestamp,
    is_aborted_transaction_block_state, is_transaction_block, set_current_statement_start_timestamp,
    start_transaction_command, transaction_block_status_code)
from tusk.types._kernel_output cimport OutBuffer, out_free, out_reserve, put_u32

from tusk.backend import client_text, interrupts
from tusk.backend.connection import ConnectionLost
from tusk.backend.wire_destination import column_formats, describe
from tusk.catalog import cache as caches
from tusk.catalog import inval
from tusk.catalog.oids import BPCHAROID, INT2OID, INT4OID, INT8OID, TEXTOID, VARCHAROID
from tusk.catalog.session import session as identity
from tusk.commands import notifications
from tusk.commands.completion import command_tag
from tusk.commands.portals import plan_columns
from tusk.config import on_assign
from tusk.config.registry import changed_reported
from tusk.errors import Fatal, SqlError, errcode
from tusk.memory import wait_events
from tusk.sql.execute.permissions import check_permissions
from tusk.sql.nodes import (
    CMD_DELETE, CMD_INSERT, CMD_SELECT, CMD_UPDATE, TRANS_STMT_BEGIN, TRANS_STMT_COMMIT)
from tusk.stats import session_info
from tusk.transaction.xact import begin_transaction_block, end_transaction_block
from tusk.types.codec import codec_for

cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv" (int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send" (int fd, const void *buffer, size_t size, int flags)
    enum:
        MSG_NOSIGNAL

cdef enum:
    PARAM_CODEC = 0             # how a parameter becomes a Datum
    PARAM_INT2 = 2
    PARAM_INT4 = 4
    PARAM_INT8 = 8
    PARAM_TEXT = 1
    MAX_PARAMS = 128
    INPUT_SIZE = 16384
    SEND_THRESHOLD = 65536
    MAX_SHAPES = 500

cdef struct RawParam:
    const char *data
    int32_t length              # -1: null
    bint is_binary

cdef int SELECT = CMD_SELECT
cdef tuple PLANNABLE = (CMD_SELECT, CMD_INSERT, CMD_UPDATE, CMD_DELETE)
cdef dict PARAM_KINDS = {
    INT2OID: PARAM_INT2, INT4OID: PARAM_INT4, INT8OID: PARAM_INT8, TEXTOID: PARAM_TEXT, VARCHAROID: PARAM_TEXT,
    BPCHAROID: PARAM_TEXT,
}
cdef uint32_t CLIENT_READ = wait_events.by_name["ClientRead"]
cdef dict deadlines = interrupts.deadlines
cdef set fired = interrupts.fired
cdef set reported = changed_reported

# Numbers of changes: of what privileges rest on, and of settings that shape text forms.
cdef int64_t authority = 1
cdef int64_t output_settings = 1
# Settings that ask for more than this path does, by name.
cdef set unusual = set()
cdef dict timeouts = {}
cdef bint command_timeouts = False
cdef bint idle_timeouts = False


def _authority_changed(_what=None):
    """A role, a privilege or a relation is another one: ask again whether plans may be run."""
    global authority
    authority += 1


def _output_changed(_value):
    global output_settings
    output_settings += 1


inval.on_relcache_change(_authority_changed)
for _cache in (caches.AUTHOID, caches.AUTHMEMROLEMEM, caches.AUTHMEMMEMROLE, caches.RELOID, caches.ATTNUM):
    inval.on_syscache_change(_cache, _authority_changed)
identity.on_user_change.append(_authority_changed)

for _name in ("DateStyle", "IntervalStyle", "TimeZone", "extra_float_digits", "bytea_output"):
    on_assign(_name)(_output_changed)


def _watch(name, usual):
    @on_assign(name)
    def changed(value):
        if value in usual:
            unusual.discard(name)
        else:
            unusual.add(name)


_watch("client_encoding", ("UTF8", "SQL_ASCII"))
_watch("log_statement_stats", (False,))
_watch("log_parser_stats", (False,))
_watch("log_planner_stats", (False,))
_watch("log_executor_stats", (False,))


def _watch_timeout(name):
    @on_assign(name)
    def changed(value):
        global command_timeouts, idle_timeouts
        timeouts[name] = value
        command_timeouts = bool(timeouts.get("statement_timeout") or timeouts.get("transaction_timeout"))
        idle_timeouts = bool(
            timeouts.get("idle_session_timeout") or timeouts.get("idle_in_transaction_session_timeout"))


for _name in ("statement_timeout", "transaction_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout"):
    _watch_timeout(_name)


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


cdef inline bint took_long() noexcept:
    return get_current_timestamp() - get_current_statement_start_timestamp() >= log_slow_us


cdef class FastPlan:
    """What executions of one generic plan share."""

    cdef object planned
    cdef bint is_select
    cdef int log_level              # the least log_statement that shows it
    cdef str tag
    cdef bytes count_tag            # the tag in CommandComplete, before the count
    cdef bytes query
    cdef list columns
    cdef int nparams
    cdef list codecs
    cdef uint8_t kinds[MAX_PARAMS]
    cdef int64_t allowed_at         # the authority under which privileges were found to suffice
    cdef int64_t encodes_at
    cdef dict encoders              # by result formats
    cdef dict described
    cdef bytes last_formats
    cdef RowEncoder last_encoder
    cdef bytes last_description

    def __init__(self, PlanSource source, planned):
        cdef int i
        self.planned = planned
        self.is_select = planned.commandType == SELECT
        self.log_level = 3 if self.is_select else 2
        self.tag = command_tag(planned)
        self.count_tag = b"SELECT " if self.is_select else b"INSERT 0 " if self.tag == "INSERT" \
            else self.tag.encode() + b" "
        self.query = source.text.encode("utf-8", "surrogateescape")
        self.columns = plan_columns(planned) if self.is_select else []
        self.nparams = <int> len(source.param_types)
        self.codecs = [codec_for(oid) for oid in source.param_types]
        for i in range(self.nparams):
            self.kinds[i] = PARAM_KINDS.get(source.param_types[i], PARAM_CODEC)
        self.encoders = {}
        self.described = {}

    cdef int use_formats(self, bytes formats) except -1:
        """Have the encoder and the description for these result formats (16-bit codes as in Bind) at hand."""
        if self.encodes_at != output_settings:
            self.encodes_at = output_settings
            self.encoders.clear()
            self.last_formats = None
        if self.last_formats is not None and self.last_formats == formats:
            return 0
        self.last_formats = None
        codes = [int.from_bytes(formats[i:i + 2], "big") for i in range(0, len(formats), 2)]
        encoder = self.encoders.get(formats)
        if encoder is None:
            encoder = RowEncoder([c.type_oid for c in self.columns], column_formats(codes, len(self.columns)))
            self.encoders[formats] = encoder
        found = self.described.get(formats)
        if found is None:
            found = self.described[formats] = describe(self.columns, codes)
        self.last_encoder = encoder
        self.last_description = found
        self.last_formats = formats
        return 0


cdef FastPlan fast_plan(PlanSource source):
    """The FastPlan of a source with a generic plan that qualifies, else None."""
    cdef dict described = source.described
    found = described.get("fast", False)
    if found is not False:
        return <FastPlan> found
    found = None
    if len(source.generic) == 1 and len(source.param_types) <= MAX_PARAMS:
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


def prepare_source(PlanSource source) -> None:
    """Make what the first execution of a source's generic plan would make."""
    cdef FastPlan fast = fast_plan(source)
    if fast is None:
        return
    if fast.is_select:
        fast.use_formats(b"")
    if not source.executors:
        executor = Executor(fast.planned, source.text)
        executor.end()
        source.executors.append(executor)


cdef str transaction_tag(PlanSource source):
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


cdef inline uint32_t u32(const unsigned char *p) noexcept nogil:
    return (<uint32_t> p[0] << 24) | (<uint32_t> p[1] << 16) | (<uint32_t> p[2] << 8) | p[3]


cdef inline uint16_t u16(const unsigned char *p) noexcept nogil:
    return <uint16_t> ((p[0] << 8) | p[1])


cdef inline int put(OutBuffer *out, const char *data, size_t size) except -1:
    out_reserve(out, size)
    memcpy(out.data + out.size, data, size)
    out.size += size
    return 0


cdef inline int put_bytes(OutBuffer *out, bytes data) except -1:
    return put(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef int put_complete(OutBuffer *out, bytes tag, int64_t nrows) except -1:
    """CommandComplete."""
    cdef char digits[24]
    cdef int n = 24
    cdef size_t size = PyBytes_GET_SIZE(tag)
    while True:
        n -= 1
        digits[n] = <char> (c'0' + nrows % 10)
        nrows //= 10
        if nrows == 0:
            break
    out_reserve(out, size + 32)
    out.data[out.size] = c'C'
    put_u32(out.data + out.size + 1, <uint32_t> (size + (24 - n) + 5))
    memcpy(out.data + out.size + 5, PyBytes_AS_STRING(tag), size)
    memcpy(out.data + out.size + 5 + size, digits + n, 24 - n)
    out.size += 5 + size + (24 - n) + 1
    out.data[out.size - 1] = 0
    return 0


cdef bint parse_digits(const char *data, int32_t length, int most, int64_t *value) noexcept nogil:
    """A plain integer of so many digits at most; False for everything else."""
    cdef int32_t i = 0
    cdef int64_t total = 0
    if length > 1 and data[0] == c'-':
        i = 1
    if length - i > most or length <= i:
        return False
    while i < length:
        if not c'0' <= data[i] <= c'9':
            return False
        total = total * 10 + (data[i] - c'0')
        i += 1
    value[0] = -total if data[0] == c'-' else total
    return True


cdef bint is_ascii(const char *data, int32_t length) noexcept nogil:
    cdef int32_t i
    for i in range(length):
        if <signed char> data[i] <= 0:
            return False
    return True


cdef int parse_int(uint8_t kind, const RawParam *raw, Datum *value) noexcept nogil:
    """1 when the parameter is an integer that certainly fits."""
    cdef int64_t number = 0
    cdef const unsigned char *p = <const unsigned char *> raw.data
    if raw.is_binary:
        if raw.length != kind:
            return 0
        if kind == PARAM_INT2:
            number = <int16_t> u16(p)
        elif kind == PARAM_INT4:
            number = <int32_t> u32(p)
        else:
            number = <int64_t> ((<uint64_t> u32(p) << 32) | u32(p + 4))
    elif not parse_digits(raw.data, raw.length, 4 if kind == PARAM_INT2 else 9 if kind == PARAM_INT4 else 18, &number):
        return 0
    value[0] = <Datum> number
    return 1


cdef class FastPath:
    """``FastPath(session)``: ``bind(body)`` and ``query(body)`` carry out a message that was just read."""

    cdef object session, connection, extended, portals
    cdef dict portals_by_name, prepared, shapes
    cdef int64_t shapes_as_of
    cdef Normalizer normalizer
    cdef int fd
    cdef unsigned char *input           # what has been received and not yet carried out: input[at:have]
    cdef size_t at, have, room
    cdef OutBuffer out
    cdef bint expects_wait              # the last message was not there at once
    cdef unsigned int nreceived
    cdef int64_t nrows                  # of the last command
    cdef RawParam raw[MAX_PARAMS]

    def __cinit__(self, session):
        self.session = session
        self.connection = session.connection
        self.extended = session.extended
        self.portals = session.portals
        self.portals_by_name = session.portals.by_name
        self.prepared = session.prepared.by_name
        self.shapes = {}
        self.normalizer = Normalizer()
        self.fd = session.connection.fileno
        self.room = INPUT_SIZE
        self.input = <unsigned char *> malloc(INPUT_SIZE)
        if self.input == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.input)
        out_free(&self.out)

    # Messages that the session has read

    def bind(self, bytes body) -> bool:
        """Carry out a Bind and what came with it, and all that follows of the kind; False where it needs the ordinary
        path and nothing has been done."""
        return self.take(body)

    def query(self, bytes body) -> bool:
        """The same for a simple query."""
        return self.take(body)

    def simple(self, bytes body, PlanSource source) -> bool:
        """Carry out a simple query whose plan the session has found. The next one of its shape comes straight here."""
        self.remember(body, source)
        return self.take(body)

    cdef bint take(self, bytes body) except -1:
        cdef bytes buffer
        cdef Py_ssize_t start
        if unusual or log_each_time:
            return False
        connection = self.connection
        buffer = connection._in
        start = connection._at - len(body) - 5
        if start < 0 or len(buffer) - start > INPUT_SIZE or connection._out:
            return False
        self.at = 0
        self.have = len(buffer) - start
        memcpy(self.input, PyBytes_AS_STRING(buffer) + start, self.have)
        try:
            if not self.step():
                return False
            self.follow()
        except BaseException:
            # The stream stands where the ordinary path would have left it.
            connection._in = (<const char *> self.input)[self.at:self.have]
            connection._at = 0
            if self.out.size:
                connection.send(self.out.data[:self.out.size])
                self.out.size = 0
            raise
        connection._in = (<const char *> self.input)[self.at:self.have]
        connection._at = 0
        return True

    cdef int follow(self) except -1:
        """Go on as long as the messages that come are for this path."""
        while not (unusual or log_each_time):
            if self.at == self.have:
                self.receive()
            if not self.step():
                break
        if self.out.size:
            self.flush()
        return 0

    # The socket

    cdef int receive(self) except -1:
        """Wait for input. What is fetched first, the bytes or the news that there are some, is what paid last time."""
        cdef ssize_t got
        cdef int error
        cdef bint ask_first = self.expects_wait
        self.at = self.have = 0
        self.nreceived += 1
        if self.nreceived % 16 == 0:
            ask_first = False
        while True:
            if not ask_first:
                got = c_recv(self.fd, self.input, self.room, 0)
                if got > 0:
                    break
                error = errno
                if got == 0:
                    self.connection.lost = True
                    raise ConnectionLost("unexpected EOF on client connection")
                if error != EAGAIN and error != EINTR:
                    self.connection.lost = True
                    raise ConnectionLost(f"could not receive data from client: {(<bytes> strerror(error)).decode()}")
                self.expects_wait = True
            self.wait()
            ask_first = False
            got = 0
        if self.nreceived % 16 == 0:
            self.expects_wait = False
        self.have = got
        if deadlines or fired:
            interrupts.leave_idle()
        return 0

    cdef int wait(self) except -1:
        cdef int happened
        if self.connection.before_wait is not None:
            self.connection.before_wait()
        if late_flush_wanted():
            interrupts.reading_command = True
            try:
                self.connection.wait_readable()
            finally:
                interrupts.reading_command = False
            return 0
        happened = wait_latch(-1, CLIENT_READ, self.fd, True, False)
        if happened & WL_POSTMASTER_DEATH:
            raise Fatal(errcode.ADMIN_SHUTDOWN, "terminating connection due to unexpected postmaster exit")
        if happened & WL_LATCH_SET:
            reset_latch()
        if InterruptPending:
            interrupts.reading_command = True
            try:
                check_for_interrupts()
            finally:
                interrupts.reading_command = False
        return 0

    cdef int flush(self) except -1:
        """Send all of the answer."""
        cdef size_t sent = 0
        cdef ssize_t got
        cdef int error
        if self.connection._out:
            self.connection.flush()
        while sent < self.out.size:
            got = c_send(self.fd, self.out.data + sent, self.out.size - sent, MSG_NOSIGNAL)
            if got >= 0:
                sent += got
                continue
            error = errno
            if sent:
                # What is left must not be lost should the wait be interrupted.
                memmove(self.out.data, self.out.data + sent, self.out.size - sent)
                self.out.size -= sent
                sent = 0
            if error == EAGAIN or error == EINTR:
                self.connection.wait_writeable()
                continue
            self.out.size = 0
            self.connection.lost = True
            raise ConnectionLost(f"could not send data to client: {(<bytes> strerror(error)).decode()}")
        self.out.size = 0
        return 0

    # One command

    cdef bint step(self) except -1:
        """Carry out the command at the front of the input; False if it is none for this path, or not all here."""
        cdef unsigned char *p = self.input + self.at
        cdef size_t left = self.have - self.at
        cdef size_t length
        if left < 5:
            return False
        length = u32(p + 1)
        if length < 4 or left < length + 1:
            return False
        if p[0] == c'B':
            return self.step_bind(p + 5, length - 4, left - length - 1)
        if p[0] == c'Q':
            return self.step_query(p + 5, length - 4)
        return False

    cdef bint step_bind(self, unsigned char *p, size_t size, size_t left) except -1:
        cdef unsigned char *end = p + size
        cdef unsigned char *name
        cdef unsigned char *tail = end
        cdef unsigned char *formats
        cdef int described = 0
        cdef int nformats, nparams, nresults, i
        cdef int32_t length
        cdef PlanSource source
        cdef FastPlan fast
        cdef bytes results
        # Execute (unnamed portal, no limit) and Sync must follow, perhaps with Describe before them.
        if left >= 7 and tail[0] == c'D' and u32(tail + 1) == 6 and tail[5] == c'P' and tail[6] == 0:
            described = 1
            tail += 7
            left -= 7
        if left < 15 or tail[0] != c'E' or u32(tail + 1) != 9 or tail[5] != 0 or u32(tail + 6) != 0 \
                or tail[10] != c'S' or u32(tail + 11) != 4:
            return False
        if size < 2 or p[0] != 0:
            return False
        name = p + 1
        p = <unsigned char *> memchr(name, 0, end - name)
        if p == NULL:
            return False
        if p == name:
            prepared = self.extended.unnamed
        else:
            prepared = self.prepared.get(
                PyUnicode_DecodeUTF8(<char *> name, p - name, b"surrogateescape"))
        if prepared is None:
            return False
        source = prepared.source
        if source.generic is None:
            if source.is_utility and not source.param_types:
                tag = transaction_tag(source)
                return tag is not None and self.step_transaction(prepared.name, source, tag, described, tail + 10)
            return False
        if is_aborted_transaction_block_state():
            return False
        fast = fast_plan(source)
        if fast is None or fast.log_level <= log_level:
            return False
        p += 1
        if end - p < 2:
            return False
        nformats = u16(p)
        p += 2
        formats = p
        p += nformats * 2
        if end - p < 2:
            return False
        nparams = u16(p)
        p += 2
        if nparams != fast.nparams or (nformats > 1 and nformats != nparams):
            return False
        for i in range(nformats):
            if u16(formats + 2 * i) > 1:
                return False
        for i in range(nparams):
            if end - p < 4:
                return False
            length = <int32_t> u32(p)
            p += 4
            if length < -1 or (length > 0 and end - p < length):
                return False
            self.raw[i].data = <char *> p
            self.raw[i].length = length
            self.raw[i].is_binary = nformats > 0 and u16(formats + (2 * i if nformats > 1 else 0)) == 1
            if length > 0:
                p += length
        if end - p < 2:
            return False
        nresults = u16(p)
        p += 2
        if end - p != nresults * 2 or nresults > 1 and nresults != <int> len(fast.columns):
            return False
        for i in range(nresults):
            if u16(p + 2 * i) > 1:
                return False
        results = (<char *> p)[:2 * nresults]
        # From here on it is this path's. Binding the unnamed portal ends the one that may still be there.
        if self.portals_by_name:
            self.portals.drop("")
        p = self.input + self.at
        self.at = (tail + 10) - self.input
        self.session.doing_extended = True
        self.begin(source.text, PyBytes_AS_STRING(fast.query), PyBytes_GET_SIZE(fast.query), fast.tag)
        if source.ready_plans() is None:
            # Something changed, or has been heard of now that the locks are taken: the ordinary path plans again.
            self.at = p - self.input
            self.session.command_started = True
            return False
        put(&self.out, b"2\x00\x00\x00\x04", 5)
        if fast.is_select:
            fast.use_formats(results)
            if described:
                put_bytes(&self.out, fast.last_description)
        elif described:
            put(&self.out, b"n\x00\x00\x00\x04", 5)
        self.run(source, fast, True)
        put_complete(&self.out, fast.count_tag, self.nrows)
        if log_slow_us >= 0 and took_long():
            log_slow_execute(prepared.name, source.text, self.values(fast), source.param_types)
        self.at += 5
        self.finish(None)
        return True

    cdef bint step_transaction(
        self, str name, PlanSource source, str tag, bint described, unsigned char *sync,
    ) except -1:
        """BEGIN and COMMIT: the state machine and an answer."""
        cdef bytes text
        if log_level == 3:
            return False
        if tag == "BEGIN":
            if is_transaction_block():
                return False            # a warning is due
        elif is_aborted_transaction_block_state() or not is_transaction_block():
            return False
        if self.portals_by_name:
            self.portals.drop("")
        self.at = sync - self.input
        self.session.doing_extended = True
        text = source.text.encode("utf-8", "surrogateescape")
        self.begin(source.text, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), tag)
        put(&self.out, b"2\x00\x00\x00\x04", 5)
        if described:
            put(&self.out, b"n\x00\x00\x00\x04", 5)
        if tag == "BEGIN":
            begin_transaction_block()
            put(&self.out, b"C\x00\x00\x00\x0aBEGIN\x00", 11)
        else:
            end_transaction_block(False)
            put(&self.out, b"C\x00\x00\x00\x0bCOMMIT\x00", 12)
        self.at += 5
        self.finish(None)
        if log_slow_us >= 0 and took_long():
            log_slow_execute(name, source.text, [], [])
        return True

    cdef bint step_query(self, unsigned char *p, size_t size) except -1:
        cdef Normalizer work = self.normalizer
        cdef PlanSource source
        cdef FastPlan fast
        cdef int i
        cdef str text
        cdef bytes key
        cdef size_t before
        if size < 2 or p[size - 1] != 0 or is_aborted_transaction_block_state():
            return False
        size -= 1
        if not work.run(<char *> p, size):
            return False
        if self.shapes_as_of != names_changed_at():
            # A text says only names; a prepared statement may keep what they meant, a new query may not.
            self.shapes.clear()
            self.shapes_as_of = names_changed_at()
        key = work.key()
        found = self.shapes.get(key)
        if found is None:
            return False
        source = <PlanSource> found
        if source.generic is None:
            return False
        fast = fast_plan(source)
        if fast is None or fast.log_level <= log_level or fast.nparams != work.nliterals:
            return False
        try:
            text = PyUnicode_DecodeUTF8(<char *> p, size, NULL)
        except UnicodeDecodeError:
            return False
        for i in range(work.nliterals):
            self.raw[i].data = work.literals[i].data
            self.raw[i].length = work.literals[i].length
            self.raw[i].is_binary = False
        p = self.input + self.at
        self.at = (p + u32(p + 1) + 1) - self.input
        self.session.doing_extended = False
        self.extended.unnamed = None
        self.begin(text, <char *> p + 5, size, fast.tag)
        if source.ready_plans() is None:
            self.at = p - self.input
            self.session.command_started = True
            return False
        if self.portals_by_name:
            self.portals.drop("")
        before = self.out.size
        if fast.is_select:
            fast.use_formats(b"")
            put_bytes(&self.out, fast.last_description)
        if not self.run(source, fast, False):
            # A literal that its type does not take: the ordinary path tells where it stands in the text.
            self.out.size = before
            self.at = p - self.input
            self.session.command_started = True
            return False
        # A commit that fails leaves no completed command behind.
        self.finish(fast.count_tag)
        return True

    cdef int remember(self, bytes body, PlanSource source) except -1:
        """Keep the plan of a simple query by its shape."""
        cdef Normalizer work = self.normalizer
        if unusual or len(body) < 2 or not work.run(body, len(body) - 1):
            return 0
        if (<const char *> work.text)[:work.size] != source.text.encode("utf-8", "surrogateescape"):
            return 0
        if self.shapes_as_of != names_changed_at() or len(self.shapes) >= MAX_SHAPES:
            self.shapes.clear()
            self.shapes_as_of = names_changed_at()
        self.shapes[work.key()] = source
        return 0

    cdef int begin(self, str text, const char *query, Py_ssize_t size, str tag) except -1:
        """What every command does first."""
        info = session_info.current
        info.query = text
        info.command_tag = tag
        set_current_statement_start_timestamp()
        report_state(ACTIVITY_RUNNING, query, size, get_current_statement_start_timestamp())
        set_title(tag)
        if self.session.command_started:
            # It began here before, and went to the ordinary path in vain.
            self.session.command_started = False
        else:
            start_transaction_command()
        if command_timeouts or deadlines:
            interrupts.enable_statement_timeout()
        return 0

    cdef bint run(self, PlanSource source, FastPlan fast, bint is_bind) except -1:
        """Execute; the rows are appended to the answer. False, for a simple query only, if a literal
        is none of its type's."""
        cdef list idle = source.executors
        cdef Executor executor
        cdef Snapshot snapshot
        cdef Batch batch
        cdef int64_t nrows = 0
        check_for_interrupts()
        executor = <Executor> idle.pop() if idle else Executor(fast.planned, source.text)
        if fast.nparams and not self.set_parameters(fast, executor, is_bind):
            idle.append(executor)
            return False
        snapshot = get_transaction_snapshot()
        push_active_snapshot(snapshot)
        if not fast.is_select:
            update_active_snapshot_command_id()
        if fast.allowed_at != authority:
            check_permissions(fast.planned.permInfos)
            fast.allowed_at = authority
        try:
            executor.begin(snapshot, False)
            while True:
                batch = executor.next_batch()
                if batch is None:
                    break
                if fast.is_select:
                    nrows += batch.nsel
                    fast.last_encoder.encode_into(batch, &self.out)
                    if self.out.size > SEND_THRESHOLD:
                        self.flush()
            executor.finish()
            if not fast.is_select:
                nrows = executor.estate.processed
        except BaseException:
            executor.end()
            raise
        executor.end()
        pop_active_snapshot()
        if source.generic is not None and source.generic[0] is fast.planned and len(idle) < 2:
            idle.append(executor)
        self.nrows = nrows
        return True

    cdef bint set_parameters(self, FastPlan fast, Executor executor, bint is_bind) except -1:
        cdef int i
        cdef RawParam *raw
        cdef ParamSlot slot
        cdef Datum value
        cdef uint8_t kind
        for i in range(fast.nparams):
            raw = &self.raw[i]
            slot = executor.parameter(i + 1)
            kind = fast.kinds[i]
            if raw.length < 0:
                if slot is not None:
                    slot.set(0, True)
                continue
            if kind >= PARAM_INT2:
                if parse_int(kind, raw, &value):
                    if slot is not None:
                        slot.set(value, False)
                    continue
            elif kind == PARAM_TEXT and is_ascii(raw.data, raw.length):
                if slot is not None:
                    slot.set_bytes(raw.data, raw.length)
                continue
            try:
                decoded = self.by_codec(fast.codecs[i], raw)
            except SqlError as error:
                if not is_bind:
                    return False
                error.add_context(f"unnamed portal parameter ${i + 1}")
                raise
            if slot is not None:
                slot.set_python(decoded)
        return True

    cdef list values(self, FastPlan fast):
        """The parameters as Python values, for the log."""
        cdef int i
        return [None if self.raw[i].length < 0 else self.by_codec(fast.codecs[i], &self.raw[i])
                for i in range(fast.nparams)]

    cdef object by_codec(self, object codec, RawParam *raw):
        cdef bytes data = raw.data[:raw.length]
        if raw.is_binary:
            return codec.receive(data)
        return codec.input(client_text.to_text(data), -1)

    cdef int finish(self, bytes tag) except -1:
        """End the command, and tell the client (with CommandComplete, if there is a tag) that it may send the next."""
        cdef char status
        if deadlines or fired:
            interrupts.disable_statement_timeout()
        self.session.doing_extended = False
        commit_transaction_command()
        if tag is not None:
            put_complete(&self.out, tag, self.nrows)
            if log_slow_us >= 0 and took_long():
                log_slow_query(session_info.current.query)
        status = transaction_block_status_code()
        if idle_timeouts or ConfigReloadPending:
            interrupts.enter_idle(chr(status))
        if status == c'I':
            set_title("idle")
            report_state(ACTIVITY_IDLE, NULL, 0, get_current_timestamp())
        elif status == c'T':
            set_title("idle in transaction")
            report_state(ACTIVITY_IDLEINTRANSACTION, NULL, 0, get_current_timestamp())
        else:
            set_title("idle in transaction (aborted)")
            report_state(ACTIVITY_IDLEINTRANSACTION_ABORTED, NULL, 0, get_current_timestamp())
        session_info.current.query = ""
        if reported or notifications.is_pending:
            self.flush()
            self.session.announce()
            self.connection.flush()
        out_reserve(&self.out, 6)
        memcpy(self.out.data + self.out.size, b"Z\x00\x00\x00\x05", 5)
        self.out.data[self.out.size + 5] = status
        self.out.size += 6
        if self.at == self.have or self.out.size > SEND_THRESHOLD:
            self.flush()
        return 0
