"""Reporting and reading the progress of commands: numbers of parameters, phases and commands (commands/progress.h).

A command calls `start_command`, then `update_param`/`update_multi`/`incr_param` as it goes, and `end_command`; an
aborted transaction ends it by itself. Kernels cimport the same from `_progress`.
"""

from enum import IntEnum

from tusk.stats._progress import (
    current_command,
    end_command,
    incr_param,
    read_progress,
    start_command,
    update_multi,
    update_param,
)

COMMAND_VACUUM, COMMAND_ANALYZE, COMMAND_CLUSTER, COMMAND_CREATE_INDEX, COMMAND_BASEBACKUP, COMMAND_COPY = range(1, 7)


class Vacuum(IntEnum):
    """Parameters of VACUUM."""

    PHASE = 0
    TOTAL_HEAP_BLKS = 1
    HEAP_BLKS_SCANNED = 2
    HEAP_BLKS_VACUUMED = 3
    NUM_INDEX_VACUUMS = 4
    MAX_DEAD_TUPLE_BYTES = 5
    DEAD_TUPLE_BYTES = 6
    NUM_DEAD_ITEM_IDS = 7
    INDEXES_TOTAL = 8
    INDEXES_PROCESSED = 9
    DELAY_TIME = 10     # nanoseconds


class VacuumPhase(IntEnum):
    """Values of Vacuum.PHASE."""

    SCAN_HEAP = 1
    VACUUM_INDEX = 2
    VACUUM_HEAP = 3
    INDEX_CLEANUP = 4
    TRUNCATE = 5
    FINAL_CLEANUP = 6


class Analyze(IntEnum):
    """Parameters of ANALYZE."""

    PHASE = 0
    BLOCKS_TOTAL = 1
    BLOCKS_DONE = 2
    EXT_STATS_TOTAL = 3
    EXT_STATS_COMPUTED = 4
    CHILD_TABLES_TOTAL = 5
    CHILD_TABLES_DONE = 6
    CURRENT_CHILD_TABLE_RELID = 7
    DELAY_TIME = 8      # nanoseconds


class AnalyzePhase(IntEnum):
    """Values of Analyze.PHASE."""

    ACQUIRE_SAMPLE_ROWS = 1
    ACQUIRE_SAMPLE_ROWS_INH = 2
    COMPUTE_STATS = 3
    COMPUTE_EXT_STATS = 4
    FINALIZE_ANALYZE = 5


class Cluster(IntEnum):
    """Parameters of CLUSTER and VACUUM FULL."""

    COMMAND = 0         # 1 CLUSTER, 2 VACUUM FULL
    PHASE = 1
    INDEX_RELID = 2
    HEAP_TUPLES_SCANNED = 3
    HEAP_TUPLES_WRITTEN = 4
    TOTAL_HEAP_BLKS = 5
    HEAP_BLKS_SCANNED = 6
    INDEX_REBUILD_COUNT = 7


class ClusterPhase(IntEnum):
    """Values of Cluster.PHASE."""

    SEQ_SCAN_HEAP = 1
    INDEX_SCAN_HEAP = 2
    SORT_TUPLES = 3
    WRITE_NEW_HEAP = 4
    SWAP_REL_FILES = 5
    REBUILD_INDEX = 6
    FINAL_CLEANUP = 7


class CreateIndex(IntEnum):
    """Parameters of CREATE INDEX and REINDEX."""

    COMMAND = 0         # CreateIndexCommand
    WAITFOR_TOTAL = 3
    WAITFOR_DONE = 4
    WAITFOR_CURRENT_PID = 5
    INDEX_OID = 6
    ACCESS_METHOD_OID = 8
    PHASE = 9
    SUBPHASE = 10
    TUPLES_TOTAL = 11
    TUPLES_DONE = 12
    PARTITIONS_TOTAL = 13
    PARTITIONS_DONE = 14
    SCAN_BLOCKS_TOTAL = 15
    SCAN_BLOCKS_DONE = 16


class CreateIndexCommand(IntEnum):
    """Values of CreateIndex.COMMAND."""

    CREATE = 1
    CREATE_CONCURRENTLY = 2
    REINDEX = 3
    REINDEX_CONCURRENTLY = 4


class CreateIndexPhase(IntEnum):
    """Values of CreateIndex.PHASE."""

    WAIT_1 = 1
    BUILD = 2
    WAIT_2 = 3
    VALIDATE_IDXSCAN = 4
    VALIDATE_SORT = 5
    VALIDATE_TABLESCAN = 6
    WAIT_3 = 7
    WAIT_4 = 8
    WAIT_5 = 9


class Copy(IntEnum):
    """Parameters of COPY."""

    BYTES_PROCESSED = 0
    BYTES_TOTAL = 1
    TUPLES_PROCESSED = 2
    TUPLES_EXCLUDED = 3
    COMMAND = 4         # 1 FROM, 2 TO
    TYPE = 5            # 1 FILE, 2 PROGRAM, 3 PIPE, 4 CALLBACK
    TUPLES_SKIPPED = 6


__all__ = [
    "COMMAND_ANALYZE", "COMMAND_BASEBACKUP", "COMMAND_CLUSTER", "COMMAND_COPY", "COMMAND_CREATE_INDEX",
    "COMMAND_VACUUM", "Analyze", "AnalyzePhase", "Cluster", "ClusterPhase", "Copy", "CreateIndex",
    "CreateIndexCommand", "CreateIndexPhase", "Vacuum", "VacuumPhase", "current_command", "end_command", "incr_param",
    "read_progress",
    "start_command", "update_multi", "update_param",
]  # fmt: skip
