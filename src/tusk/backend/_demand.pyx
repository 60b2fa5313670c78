"""What new sessions ask for: the databases and roles they come as, and the statements they had to plan themselves.

Backends note it in shared memory; the session template reads it to know what to prepare. Statements are texts with
their literals taken out. A short table under a spinlock: rare entries give way to new ones, counts fade.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset
from tusk._types cimport Oid
from tusk.memory._atomics cimport atomic_read_u32, spin_lock, spin_unlock

from tusk.memory._segment import declare_area

cdef enum:
    NPROFILES = 16
    NSTATEMENTS = 64
    MAX_KINDS = 16
    MAX_TEXT = 1000
    HOT = 2                     # sessions that had to plan a statement before it is worth preparing
    FADE_AFTER = 4096

cdef struct Profile:
    Oid database
    Oid role
    uint32_t sessions

cdef struct Statement:
    Oid database
    Oid role
    uint32_t misses
    int32_t nkinds
    int32_t length
    uint32_t kinds[16]
    char text[1000]

cdef struct Demand:
    uint32_t lock
    uint32_t version            # changes when something became hot
    uint32_t noted
    uint32_t leader             # the profile with the most sessions
    Profile profiles[16]
    Statement statements[64]

cdef Demand *shared = NULL


def _size(settings):
    return sizeof(Demand)


def _attach(address):
    global shared
    shared = <Demand *> <uintptr_t> address


declare_area("Session Demand", _size, None, _attach)


def version() -> int:
    """Changes whenever the template may have something to prepare."""
    return atomic_read_u32(&shared.version) if shared != NULL else 0


def version_address() -> int:
    """Where `version` is in memory."""
    return <uintptr_t> &shared.version


def note_session(Oid database, Oid role) -> None:
    """A session begins as this role in this database."""
    cdef int i, found = -1, rarest = 0
    if shared == NULL:
        return
    spin_lock(&shared.lock)
    for i in range(NPROFILES):
        if shared.profiles[i].database == database and shared.profiles[i].role == role:
            found = i
            break
        if shared.profiles[i].sessions < shared.profiles[rarest].sessions:
            rarest = i
    if found < 0:
        found = rarest
        shared.profiles[found].database = database
        shared.profiles[found].role = role
        shared.profiles[found].sessions = 0
    shared.profiles[found].sessions += 1
    if <uint32_t> found != shared.leader and (
            shared.profiles[found].sessions > 2 * shared.profiles[shared.leader].sessions):
        shared.leader = found
        shared.version += 1
    shared.noted += 1
    if shared.noted >= FADE_AFTER:
        shared.noted = 0
        for i in range(NPROFILES):
            shared.profiles[i].sessions //= 2
        for i in range(NSTATEMENTS):
            shared.statements[i].misses //= 2
    spin_unlock(&shared.lock)


def note_statement(Oid database, Oid role, str text, kinds) -> None:
    """A session had to analyse and plan this statement."""
    cdef bytes data = text.encode()
    cdef int32_t length = <int32_t> len(data), nkinds = <int32_t> len(kinds)
    cdef uint32_t wanted[16]
    cdef int i, found = -1, rarest = 0
    cdef Statement *statement
    if shared == NULL or length > MAX_TEXT or nkinds > MAX_KINDS:
        return
    memset(wanted, 0, sizeof(wanted))
    for i in range(nkinds):
        wanted[i] = kinds[i]
    cdef const char *p = data
    spin_lock(&shared.lock)
    for i in range(NSTATEMENTS):
        statement = &shared.statements[i]
        if (statement.length == length and statement.database == database and statement.role == role
                and statement.nkinds == nkinds and memcmp(statement.kinds, wanted, sizeof(wanted)) == 0
                and memcmp(statement.text, p, length) == 0):
            found = i
            break
        if statement.misses < shared.statements[rarest].misses:
            rarest = i
    statement = &shared.statements[found if found >= 0 else rarest]
    if found < 0:
        statement.database = database
        statement.role = role
        statement.misses = 0
        statement.nkinds = nkinds
        statement.length = length
        memcpy(statement.kinds, wanted, sizeof(wanted))
        memcpy(statement.text, p, length)
    statement.misses += 1
    if statement.misses >= HOT:
        shared.version += 1
    spin_unlock(&shared.lock)


def leader() -> tuple[int, int]:
    """(database, role) of the most frequent sessions; (0, 0) before there were any."""
    if shared == NULL:
        return 0, 0
    spin_lock(&shared.lock)
    cdef Profile profile = shared.profiles[shared.leader]
    spin_unlock(&shared.lock)
    return profile.database, profile.role


def hot_statements(Oid database, Oid role) -> list[tuple[str, tuple[int, ...]]]:
    """The (text, literal types) that several sessions of this profile had to plan."""
    cdef Statement copy
    cdef int i, k
    found = []
    for i in range(NSTATEMENTS):
        spin_lock(&shared.lock)
        copy = shared.statements[i]
        spin_unlock(&shared.lock)
        if copy.length and copy.database == database and copy.role == role and copy.misses >= HOT:
            kinds = tuple([copy.kinds[k] for k in range(copy.nkinds)])
            found.append((copy.text[:copy.length].decode(), kinds))
    return found
