"""Relation files on disk, in segments of 1 GB (storage/md.h).

Paths are relative: the process's current directory is the data directory. All segments but the last active one have
exactly 131072 blocks; a truncated relation may leave empty segments behind. Descriptors are kept open per relation and
closed, least recently used relation first, when they get too many.

An ordinary relation's main fork is not unlinked before the next checkpoint (only emptied): until then its number must
not be used again, or replay after a crash would hit the new relation.
"""

import os

from libc.errno cimport EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, errno
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset
from posix.fcntl cimport O_CREAT, O_EXCL, O_RDWR, open
from posix.types cimport off_t
from posix.unistd cimport SEEK_END, close, fsync, ftruncate, lseek

from tusk._types cimport BLCKSZ, BlockNumber, ForkNumber, InvalidBlockNumber, MAIN_FORK, RELSEG_SIZE, RelFileLocator
from tusk.memory._wait cimport wait_end, wait_start
from tusk.memory._wait_events cimport (
    WAIT_EVENT_DATA_FILE_EXTEND,
    WAIT_EVENT_DATA_FILE_FLUSH,
    WAIT_EVENT_DATA_FILE_IMMEDIATE_SYNC,
    WAIT_EVENT_DATA_FILE_PREFETCH,
    WAIT_EVENT_DATA_FILE_READ,
    WAIT_EVENT_DATA_FILE_SYNC,
    WAIT_EVENT_DATA_FILE_TRUNCATE,
    WAIT_EVENT_DATA_FILE_WRITE,
)
from tusk.storage cimport _smgr
from tusk.storage._smgr cimport MdSegment, SMgrRelation, smgr_set_storage
from tusk.storage._sync cimport (
    SYNC_FORGET_REQUEST,
    SYNC_HANDLER_MD,
    SYNC_REQUEST,
    SYNC_UNLINK_REQUEST,
    FileTag,
    register_sync_request,
)

from tusk.errors import Fatal, Panic, Severity, SqlError, errcode, report
from tusk.storage import _sync
from tusk.storage._smgr import database_path, path_of
from tusk.storage.files import file_error, sqlstate_for_file_access

cdef extern from "<fcntl.h>" nogil:
    enum:
        O_CLOEXEC
        POSIX_FADV_WILLNEED
        SYNC_FILE_RANGE_WRITE
    int posix_fadvise(int fd, off_t offset, off_t length, int advice)
    int posix_fallocate(int fd, off_t offset, off_t length)
    int sync_file_range(int fd, off_t offset, off_t length, unsigned int flags)

cdef extern from "<sys/uio.h>" nogil:
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t preadv(int fd, const iovec *vector, int count, off_t offset)
    ssize_t pwritev(int fd, const iovec *vector, int count, off_t offset)

cdef enum:
    MAX_COMBINE = 128           # blocks in one system call
    OPEN_FAIL = 0               # what to do if a segment is missing
    OPEN_RETURN_NULL = 1
    OPEN_CREATE = 2
    OPEN_CREATE_RECOVERY = 3    # create in recovery, else fail

cdef char[8192] _zeroes
cdef int _nopen = 0
cdef SMgrRelation _lru_newest = NULL
cdef SMgrRelation _lru_oldest = NULL
md_max_open_files = 800
_fallocate_works = True


# Descriptors

cdef void _lru_remove(SMgrRelation rel) noexcept:
    global _lru_newest, _lru_oldest
    if rel.lru_prev != NULL:
        rel.lru_prev.lru_next = rel.lru_next
    elif _lru_newest == rel:
        _lru_newest = rel.lru_next
    if rel.lru_next != NULL:
        rel.lru_next.lru_prev = rel.lru_prev
    elif _lru_oldest == rel:
        _lru_oldest = rel.lru_prev
    rel.lru_prev = NULL
    rel.lru_next = NULL


cdef void _lru_touch(SMgrRelation rel) noexcept:
    global _lru_newest, _lru_oldest
    if _lru_newest == rel:
        return
    _lru_remove(rel)
    rel.lru_next = _lru_newest
    if _lru_newest != NULL:
        _lru_newest.lru_prev = rel
    _lru_newest = rel
    if _lru_oldest == NULL:
        _lru_oldest = rel


cdef void _make_room() noexcept:
    """Close the files of relations not used for long until another descriptor may be opened."""
    cdef SMgrRelation rel
    cdef int fork
    while _nopen >= md_max_open_files and _lru_oldest != NULL and _lru_oldest != _lru_newest:
        rel = _lru_oldest
        for fork in range(4):
            md_close(rel, fork)
        _lru_remove(rel)


cdef str _segment_path(SMgrRelation rel, ForkNumber fork, BlockNumber segment):
    path = path_of(rel.locator.spcOid, rel.locator.dbOid, rel.locator.relNumber, rel.backend, fork)
    return f"{path}.{segment}" if segment else path


cdef int _open_path(str path, int flags) except -2:
    """A descriptor, or -1 with errno set."""
    cdef bytes encoded = path.encode()
    _make_room()
    return open(encoded, flags | O_RDWR | O_CLOEXEC, 0o600)


cdef int _add_segment(SMgrRelation rel, ForkNumber fork, int fd) except -1:
    global _nopen
    cdef MdSegment *grown = <MdSegment *> realloc(rel.segments[fork], (rel.num_open[fork] + 1) * sizeof(MdSegment))
    if grown == NULL:
        close(fd)
        raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
    rel.segments[fork] = grown
    grown[rel.num_open[fork]].fd = fd
    rel.num_open[fork] += 1
    _nopen += 1
    _lru_touch(rel)
    return 0


cdef void md_close(SMgrRelation rel, ForkNumber fork) noexcept:
    global _nopen
    while rel.num_open[fork] > 0:
        rel.num_open[fork] -= 1
        close(rel.segments[fork][rel.num_open[fork]].fd)
        _nopen -= 1
    free(rel.segments[fork])
    rel.segments[fork] = NULL
    if rel.num_open[0] + rel.num_open[1] + rel.num_open[2] + rel.num_open[3] == 0:
        _lru_remove(rel)


cdef int _open_fork(SMgrRelation rel, ForkNumber fork, bint missing_ok) except -1:
    """Open the first segment: 1 if it is open, 0 if there is no file."""
    cdef int fd
    if rel.num_open[fork] > 0:
        if _lru_newest != rel:
            _lru_touch(rel)
        return 1
    path = _segment_path(rel, fork, 0)
    fd = _open_path(path, 0)
    if fd < 0:
        if missing_ok and errno == ENOENT:
            return 0
        raise file_error(errno, f'could not open file "{path}"')
    _add_segment(rel, fork, fd)
    return 1


cdef long long _segment_blocks(SMgrRelation rel, ForkNumber fork, int segment) except -1:
    cdef int64_t size = lseek(rel.segments[fork][segment].fd, 0, SEEK_END)
    if size < 0:
        raise file_error(errno, f'could not seek to end of file "{_segment_path(rel, fork, segment)}"')
    return size // BLCKSZ


cdef int _get_segment(SMgrRelation rel, ForkNumber fork, BlockNumber block, int behavior, bint skip_fsync) except -2:
    """Descriptor of the segment with this block; -1 if it is missing and that was allowed (_mdfd_getseg)."""
    cdef int target = <int> (block // RELSEG_SIZE)
    cdef int segment
    cdef int fd
    cdef int flags
    cdef long long nblocks
    if target < rel.num_open[fork]:
        if _lru_newest != rel:
            _lru_touch(rel)
        return rel.segments[fork][target].fd
    if not _open_fork(rel, fork, behavior == OPEN_RETURN_NULL):
        return -1
    while rel.num_open[fork] <= target:
        segment = rel.num_open[fork]
        flags = 0
        nblocks = _segment_blocks(rel, fork, segment - 1)
        if nblocks > RELSEG_SIZE:
            raise Fatal(errcode.INTERNAL_ERROR, "segment too big")
        if behavior == OPEN_CREATE or (behavior == OPEN_CREATE_RECOVERY and _smgr.smgr_in_recovery):
            if nblocks < RELSEG_SIZE:
                # Segments before the last one must be full.
                md_extend(rel, fork, <BlockNumber> (segment * <long long> RELSEG_SIZE - 1), _zeroes, skip_fsync)
            flags = O_CREAT
        elif nblocks < RELSEG_SIZE:
            if behavior == OPEN_RETURN_NULL:
                return -1
            raise SqlError(errcode.UNDEFINED_FILE,
                           f'could not open file "{_segment_path(rel, fork, segment)}" (target block {block}): '
                           f'previous segment is only {nblocks} blocks')
        if rel.num_open[fork] > segment:
            continue
        path = _segment_path(rel, fork, segment)
        fd = _open_path(path, flags)
        if fd < 0:
            if behavior == OPEN_RETURN_NULL and errno == ENOENT:
                return -1
            raise file_error(errno, f'could not open file "{path}" (target block {block})')
        _add_segment(rel, fork, fd)
    return rel.segments[fork][target].fd


# Sync requests

cdef int _fsync_fd(int fd, str path) except -1:
    if not _sync.fsync_enabled:
        return 0
    wait_start(WAIT_EVENT_DATA_FILE_SYNC)
    cdef int failed = fsync(fd)
    wait_end()
    if failed:
        # The kernel may have dropped the dirty pages: only replay of the WAL can make it right.
        raise Panic(sqlstate_for_file_access(errno), f'could not fsync file "{path}": {os.strerror(errno)}')
    return 0


cdef int _register_dirty(SMgrRelation rel, ForkNumber fork, BlockNumber block, int fd) except -1:
    cdef FileTag tag
    cdef BlockNumber segment = block // RELSEG_SIZE
    if rel.backend >= 0:
        return 0        # temporary relations do not survive a crash
    tag.handler = SYNC_HANDLER_MD
    tag.forknum = <short> fork
    tag.rlocator = rel.locator
    tag.segno = segment
    if not register_sync_request(&tag, SYNC_REQUEST, False):
        report(Severity.DEBUG1, "could not forward fsync request because request queue is full")
        _fsync_fd(fd, _segment_path(rel, fork, segment))
    return 0


def _path_of_tag(tag: tuple[int, int, int, int, int, int]) -> str:
    path = path_of(tag[2], tag[3], tag[4], -1, tag[1])
    return f"{path}.{tag[5]}" if tag[5] else path


_sync.register_handler(SYNC_HANDLER_MD, _path_of_tag)


# The functions of the table

cdef int md_exists(SMgrRelation rel, ForkNumber fork) except -1:
    # An open descriptor proves nothing: the file may have been unlinked.
    if not _smgr.smgr_in_recovery:
        md_close(rel, fork)
    return _open_fork(rel, fork, True)


cdef int md_create(SMgrRelation rel, ForkNumber fork, bint is_redo) except -1:
    cdef int fd
    if is_redo and rel.num_open[fork] > 0:
        return 0
    path = _segment_path(rel, fork, 0)
    fd = _open_path(path, O_CREAT | O_EXCL)
    if fd < 0 and errno == ENOENT:
        _create_database_directory(rel)
        fd = _open_path(path, O_CREAT | O_EXCL)
    if fd < 0:
        saved = errno
        if saved == EEXIST and is_redo:
            fd = _open_path(path, 0)
        if fd < 0:
            raise file_error(saved, f'could not create file "{path}"')
    md_close(rel, fork)
    _add_segment(rel, fork, fd)
    if rel.backend < 0:
        _register_dirty(rel, fork, 0, fd)
    return 0


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    except OSError as error:
        raise file_error(error.errno, f'could not create directory "{path}"') from error


cdef int _create_database_directory(SMgrRelation rel) except -1:
    """A database gets its directory in a tablespace with its first relation there (TablespaceCreateDbspace)."""
    path = database_path(rel.locator.spcOid, rel.locator.dbOid)
    if _smgr.smgr_in_recovery and path.startswith("pg_tblspc/"):
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    _make_directory(path)
    return 0


cdef int md_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void *page, bint skip_fsync) except -1:
    cdef int fd
    cdef iovec vector
    cdef ssize_t written
    if block == InvalidBlockNumber:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                       f'cannot extend file "{_segment_path(rel, fork, 0)}" beyond {InvalidBlockNumber} blocks')
    fd = _get_segment(rel, fork, block, OPEN_CREATE, skip_fsync)
    vector.iov_base = <void *> page
    vector.iov_len = BLCKSZ
    wait_start(WAIT_EVENT_DATA_FILE_EXTEND)
    written = pwritev(fd, &vector, 1, <off_t> (block % RELSEG_SIZE) * BLCKSZ)
    wait_end()
    if written != BLCKSZ:
        path = _segment_path(rel, fork, block // RELSEG_SIZE)
        if written < 0:
            raise file_error(errno, f'could not extend file "{path}"', hint="Check free disk space.")
        raise SqlError(errcode.DISK_FULL, f'could not extend file "{path}": wrote only {written} of {BLCKSZ} bytes '
                                          f'at block {block}', hint="Check free disk space.")
    if not skip_fsync:
        _register_dirty(rel, fork, block, fd)
    return 0


cdef int md_zero_extend(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks,
                        bint skip_fsync) except -1:
    cdef int fd, n, i, failed
    cdef iovec vectors[MAX_COMBINE]
    cdef ssize_t written
    cdef off_t offset
    global _fallocate_works
    if <uint64_t> block + <uint64_t> nblocks >= <uint64_t> InvalidBlockNumber:
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                       f'cannot extend file "{_segment_path(rel, fork, 0)}" beyond {InvalidBlockNumber} blocks')
    while nblocks > 0:
        n = min(nblocks, <int> (RELSEG_SIZE - block % RELSEG_SIZE))
        fd = _get_segment(rel, fork, block, OPEN_CREATE, skip_fsync)
        offset = <off_t> (block % RELSEG_SIZE) * BLCKSZ
        failed = -1
        # Writing few blocks lets the kernel delay their allocation; for many, allocate without writing.
        if n > 8 and _fallocate_works:
            wait_start(WAIT_EVENT_DATA_FILE_EXTEND)
            failed = posix_fallocate(fd, offset, <off_t> n * BLCKSZ)
            wait_end()
            if failed in (EINVAL, EOPNOTSUPP):
                _fallocate_works = False
            elif failed:
                raise file_error(failed, f'could not extend file "{_segment_path(rel, fork, block // RELSEG_SIZE)}" '
                                         'with FileFallocate()', hint="Check free disk space.")
        if failed:
            n = min(n, MAX_COMBINE)
            for i in range(n):
                vectors[i].iov_base = _zeroes
                vectors[i].iov_len = BLCKSZ
            wait_start(WAIT_EVENT_DATA_FILE_EXTEND)
            written = pwritev(fd, vectors, n, offset)
            wait_end()
            if written != <ssize_t> n * BLCKSZ:
                raise file_error(errno if written < 0 else ENOSPC,
                                 f'could not extend file "{_segment_path(rel, fork, block // RELSEG_SIZE)}"',
                                 hint="Check free disk space.")
        if not skip_fsync:
            _register_dirty(rel, fork, block, fd)
        block += <BlockNumber> n
        nblocks -= n
    return 0


cdef int md_prefetch(SMgrRelation rel, ForkNumber fork, BlockNumber block, int nblocks) except -1:
    cdef int fd, n
    while nblocks > 0:
        n = min(nblocks, <int> (RELSEG_SIZE - block % RELSEG_SIZE))
        fd = _get_segment(rel, fork, block, OPEN_RETURN_NULL, True)
        if fd < 0:
            return 0
        wait_start(WAIT_EVENT_DATA_FILE_PREFETCH)
        posix_fadvise(fd, <off_t> (block % RELSEG_SIZE) * BLCKSZ, <off_t> n * BLCKSZ, POSIX_FADV_WILLNEED)
        wait_end()
        block += <BlockNumber> n
        nblocks -= n
    return 1


cdef int _transfer(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks,
                   bint writing, bint skip_fsync) except -1:
    """Read or write neighbouring blocks, retrying short transfers."""
    cdef int fd, n, i, first
    cdef iovec vectors[MAX_COMBINE]
    cdef ssize_t moved
    cdef size_t done, wanted, within
    cdef off_t offset
    while nblocks > 0:
        n = min(min(nblocks, MAX_COMBINE), <int> (RELSEG_SIZE - block % RELSEG_SIZE))
        fd = _get_segment(rel, fork, block, OPEN_CREATE_RECOVERY, skip_fsync)
        offset = <off_t> (block % RELSEG_SIZE) * BLCKSZ
        wanted = <size_t> n * BLCKSZ
        done = 0
        while done < wanted:
            first = <int> (done // BLCKSZ)
            within = done % BLCKSZ
            for i in range(first, n):
                vectors[i - first].iov_base = pages[i]
                vectors[i - first].iov_len = BLCKSZ
            vectors[0].iov_base = <char *> vectors[0].iov_base + within
            vectors[0].iov_len -= within
            if writing:
                wait_start(WAIT_EVENT_DATA_FILE_WRITE)
                moved = pwritev(fd, vectors, n - first, offset + <off_t> done)
            else:
                wait_start(WAIT_EVENT_DATA_FILE_READ)
                moved = preadv(fd, vectors, n - first, offset + <off_t> done)
            wait_end()
            if moved < 0 or (moved == 0 and writing):
                verb = "write" if writing else "read"
                raise file_error(ENOSPC if moved == 0 else errno,
                                 f'could not {verb} blocks {block}..{block + n - 1} in file '
                                 f'"{_segment_path(rel, fork, block // RELSEG_SIZE)}"')
            if moved == 0:
                if _smgr.smgr_in_recovery or _zero_damaged_pages:
                    # In recovery a later record may drop or truncate the relation: let it come.
                    for i in range(<int> (done // BLCKSZ), n):
                        within = done % BLCKSZ if i == <int> (done // BLCKSZ) else 0
                        memset(<char *> pages[i] + within, 0, BLCKSZ - within)
                    break
                raise SqlError(errcode.DATA_CORRUPTED,
                               f'could not read blocks {block}..{block + n - 1} in file '
                               f'"{_segment_path(rel, fork, block // RELSEG_SIZE)}": '
                               f'read only {done} of {wanted} bytes')
            done += <size_t> moved
        if writing and not skip_fsync:
            _register_dirty(rel, fork, block, fd)
        block += <BlockNumber> n
        nblocks -= n
        pages += n
    return 0


cdef bint _zero_damaged_pages = False


def set_zero_damaged_pages(enabled: bool) -> None:
    """The setting ``zero_damaged_pages``, as far as reads past the end of a file are concerned."""
    global _zero_damaged_pages
    _zero_damaged_pages = enabled


cdef int md_readv(SMgrRelation rel, ForkNumber fork, BlockNumber block, void **pages, int nblocks) except -1:
    return _transfer(rel, fork, block, pages, nblocks, False, True)


cdef int md_writev(SMgrRelation rel, ForkNumber fork, BlockNumber block, const void **pages, int nblocks,
                   bint skip_fsync) except -1:
    return _transfer(rel, fork, block, <void **> pages, nblocks, True, skip_fsync)


cdef int md_writeback(SMgrRelation rel, ForkNumber fork, BlockNumber block, BlockNumber nblocks) except -1:
    cdef int fd
    cdef BlockNumber n
    while nblocks > 0:
        n = min(nblocks, RELSEG_SIZE - block % RELSEG_SIZE)
        fd = _get_segment(rel, fork, block, OPEN_RETURN_NULL, True)
        if fd < 0:
            return 0        # dropped or truncated meanwhile
        wait_start(WAIT_EVENT_DATA_FILE_FLUSH)
        sync_file_range(fd, <off_t> (block % RELSEG_SIZE) * BLCKSZ, <off_t> n * BLCKSZ, SYNC_FILE_RANGE_WRITE)
        wait_end()
        block += n
        nblocks -= n
    return 0


cdef long long md_nblocks(SMgrRelation rel, ForkNumber fork) except -1:
    cdef long long nblocks
    cdef int segment
    cdef int fd
    _open_fork(rel, fork, False)
    segment = rel.num_open[fork] - 1
    while True:
        nblocks = _segment_blocks(rel, fork, segment)
        if nblocks > RELSEG_SIZE:
            raise Fatal(errcode.INTERNAL_ERROR, "segment too big")
        if nblocks < RELSEG_SIZE:
            return segment * <long long> RELSEG_SIZE + nblocks
        segment += 1
        if segment < rel.num_open[fork]:
            continue
        fd = _open_path(_segment_path(rel, fork, segment), 0)
        if fd < 0:
            if errno == ENOENT:
                return segment * <long long> RELSEG_SIZE
            raise file_error(errno, f'could not open file "{_segment_path(rel, fork, segment)}"')
        _add_segment(rel, fork, fd)


cdef int md_truncate(SMgrRelation rel, ForkNumber fork, BlockNumber old_nblocks, BlockNumber nblocks) except -1:
    cdef int segment
    cdef long long first
    cdef BlockNumber keep
    global _nopen
    if nblocks > old_nblocks:
        if _smgr.smgr_in_recovery:
            return 0
        raise SqlError(errcode.INTERNAL_ERROR,
                       f'could not truncate file "{_segment_path(rel, fork, 0)}" to {nblocks} blocks: '
                       f"it's only {old_nblocks} blocks now")
    if nblocks == old_nblocks:
        return 0
    md_nblocks(rel, fork)       # opens all active segments
    segment = rel.num_open[fork] - 1
    while segment >= 0:
        first = segment * <long long> RELSEG_SIZE
        if first >= nblocks:
            keep = 0
        elif first + RELSEG_SIZE > nblocks:
            keep = <BlockNumber> (nblocks - first)
        else:
            break
        path = _segment_path(rel, fork, segment)
        wait_start(WAIT_EVENT_DATA_FILE_TRUNCATE)
        failed = ftruncate(rel.segments[fork][segment].fd, <off_t> keep * BLCKSZ)
        wait_end()
        if failed:
            raise file_error(errno, f'could not truncate file "{path}" to {nblocks} blocks' if segment == 0
                             or keep else f'could not truncate file "{path}"')
        _register_dirty(rel, fork, <BlockNumber> first, rel.segments[fork][segment].fd)
        if keep == 0 and segment > 0:
            # Emptied, not removed: other processes may have it open.
            close(rel.segments[fork][segment].fd)
            rel.num_open[fork] -= 1
            _nopen -= 1
        segment -= 1
    return 0


cdef int md_unlink(const RelFileLocator *locator, int backend, ForkNumber fork, bint is_redo) except -1:
    cdef FileTag tag
    cdef int segment = 1
    path = path_of(locator.spcOid, locator.dbOid, locator.relNumber, backend, fork)
    tag.handler = SYNC_HANDLER_MD
    tag.forknum = <short> fork
    tag.rlocator = locator[0]
    tag.segno = 0
    if is_redo or fork != MAIN_FORK or backend >= 0:
        if backend < 0:
            found = _empty_file(path)
            register_sync_request(&tag, SYNC_FORGET_REQUEST, True)
        else:
            found = True
        if found:
            found = _remove_file(path)
    else:
        found = _empty_file(path)
        if found:
            register_sync_request(&tag, SYNC_FORGET_REQUEST, True)
            register_sync_request(&tag, SYNC_UNLINK_REQUEST, True)
    if not found:
        return 0
    while True:
        segment_path = f"{path}.{segment}"
        if not os.path.lexists(segment_path):
            return 0
        if backend < 0:
            # Free the space now, even if somebody still has it open.
            _empty_file(segment_path)
            tag.segno = segment
            register_sync_request(&tag, SYNC_FORGET_REQUEST, True)
        _remove_file(segment_path)
        segment += 1


def _empty_file(path: str) -> bool:
    try:
        os.truncate(path, 0)
    except FileNotFoundError:
        return False
    except OSError as error:
        report(Severity.WARNING, f'could not truncate file "{path}": {error.strerror}',
               sqlstate=sqlstate_for_file_access(error.errno))
    return True


def _remove_file(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        report(Severity.WARNING, f'could not remove file "{path}": {error.strerror}',
               sqlstate=sqlstate_for_file_access(error.errno))
    return True


cdef int md_immedsync(SMgrRelation rel, ForkNumber fork) except -1:
    cdef int segment
    md_nblocks(rel, fork)
    for segment in range(rel.num_open[fork]):
        wait_start(WAIT_EVENT_DATA_FILE_IMMEDIATE_SYNC)
        _fsync_fd(rel.segments[fork][segment].fd, _segment_path(rel, fork, segment))
        wait_end()
    # Emptied segments past the end: their truncation must be durable too.
    segment = rel.num_open[fork]
    while os.path.exists(_segment_path(rel, fork, segment)):
        path = _segment_path(rel, fork, segment)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _fsync_fd(descriptor, path)
        finally:
            os.close(descriptor)
        segment += 1
    return 0


cdef int md_registersync(SMgrRelation rel, ForkNumber fork) except -1:
    cdef int segment
    md_nblocks(rel, fork)
    for segment in range(rel.num_open[fork]):
        _register_dirty(rel, fork, <BlockNumber> (segment * <long long> RELSEG_SIZE), rel.segments[fork][segment].fd)
    return 0


md_storage.exists = md_exists
md_storage.create = md_create
md_storage.unlink = md_unlink
md_storage.extend = md_extend
md_storage.zero_extend = md_zero_extend
md_storage.prefetch = md_prefetch
md_storage.readv = md_readv
md_storage.writev = md_writev
md_storage.writeback = md_writeback
md_storage.nblocks = md_nblocks
md_storage.truncate = md_truncate
md_storage.immedsync = md_immedsync
md_storage.registersync = md_registersync
md_storage.close = md_close
smgr_set_storage(&md_storage)


def set_max_open_files(limit: int) -> None:
    """How many descriptors this process may keep for relation files."""
    global md_max_open_files
    md_max_open_files = max(limit, 8)


def open_files() -> int:
    """Descriptors this process has open for relation files."""
    return _nopen
