"""Settings that do nothing yet: the one list of them, and the warning to whoever changes one.

Who builds what a setting steers takes it off the list. A name may be followed by ``=value``: that value tells what
happens anyway (a strategy that is not there is switched off), so it is taken without a warning, as the default is.
"""

from __future__ import annotations

from tusk.config.parameters import Parameter, Value, parameter
from tusk.errors import Severity, report

_LIST = """
    allow_in_place_tablespaces backtrace_functions debug_discard_caches debug_io_direct
    debug_logical_replication_streaming debug_parallel_query ignore_system_indexes jit_debugging_support
    jit_dump_bitcode jit_expressions=off jit_profiling_support jit_tuple_deforming=off post_auth_delay pre_auth_delay
    remove_temp_files_after_crash send_abort_for_kill trace_connection_negotiation trace_notify trace_sort
    archive_cleanup_command recovery_end_command restore_command
    archive_mode archive_command archive_library archive_timeout
    array_nulls backslash_quote escape_string_warning=off lo_compat_privileges quote_all_identifiers
    synchronize_seqscans=off standard_conforming_strings transform_null_equals
    backend_flush_after effective_io_concurrency=0 io_max_combine_limit io_max_concurrency io_method=sync io_workers
    maintenance_io_concurrency=0
    bonjour bonjour_name
    check_function_bodies event_triggers restrict_nonsystem_relation_kind row_security session_replication_role
    xmlbinary
    client_connection_check_interval tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout
    compute_query_id=off log_executor_stats log_parser_stats log_planner_stats log_statement_stats
    constraint_exclusion=off cursor_tuple_fraction from_collapse_limit jit=off recursive_worktable_factor
    data_sync_retry exit_on_error
    debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten log_lock_failures
    log_recovery_conflict_waits log_replication_commands
    dynamic_library_path extension_control_path gin_fuzzy_search_limit
    enable_async_append=off enable_distinct_reordering=off enable_gathermerge=off enable_group_by_reordering=off
    enable_incremental_sort=off enable_memoize=off enable_parallel_append=off enable_parallel_hash=off
    enable_partition_pruning=off enable_partitionwise_aggregate enable_partitionwise_join
    enable_presorted_aggregate=off enable_self_join_elimination=off
    event_source
    file_copy_method file_extend_method
    geqo=off geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold
    gss_accept_delegation krb_caseins_users krb_server_keyfile oauth_validator_libraries
    hot_standby hot_standby_feedback max_standby_archive_delay max_standby_streaming_delay primary_conninfo
    primary_slot_name recovery_min_apply_delay sync_replication_slots wal_receiver_create_temp_slot
    wal_receiver_status_interval wal_receiver_timeout wal_retrieve_retry_interval
    huge_page_size huge_pages=off logical_decoding_work_mem min_dynamic_shared_memory serializable_buffers
    shared_memory_type
    icu_validation_level
    idle_replication_slot_timeout max_replication_slots max_slot_wal_keep_size wal_sender_timeout
    jit_above_cost jit_inline_above_cost jit_optimize_above_cost jit_provider
    min_parallel_index_scan_size min_parallel_table_scan_size parallel_setup_cost parallel_tuple_cost
    max_active_replication_origins max_logical_replication_workers max_parallel_apply_workers_per_subscription
    max_sync_workers_per_subscription
    max_parallel_maintenance_workers=0 max_parallel_workers=0 max_parallel_workers_per_gather=0
    parallel_leader_participation
    max_pred_locks_per_page max_pred_locks_per_relation max_pred_locks_per_transaction
    recovery_prefetch=off wal_decode_buffer_size
    recovery_target recovery_target_action recovery_target_inclusive recovery_target_lsn recovery_target_name
    recovery_target_time recovery_target_timeline recovery_target_xid
    ssl ssl_ca_file ssl_cert_file ssl_ciphers ssl_crl_dir ssl_crl_file ssl_dh_params_file ssl_groups ssl_key_file
    ssl_max_protocol_version ssl_min_protocol_version ssl_passphrase_command
    ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers ssl_tls13_ciphers
    track_functions
    summarize_wal wal_summary_keep_time
    synchronized_standby_slots synchronous_standby_names
    wal_skip_threshold max_files_per_process
    max_prepared_transactions shared_preload_libraries session_preload_libraries local_preload_libraries
"""


def _entries() -> dict[str, Value]:
    found: dict[str, Value] = {}
    for word in _LIST.split():
        name, separator, text = word.partition("=")
        item = parameter(name)
        assert item is not None, name
        found[item.name] = item.parse(text) if separator else item.boot_value
    return found


# Name -> the value that is true besides the default.
WITHOUT_EFFECT = _entries()


def warn_if_without_effect(item: Parameter, value: Value) -> None:
    """A WARNING for a setting on the list that gets a value which promises something else than what happens."""
    if item.name in WITHOUT_EFFECT and value not in (item.boot_value, WITHOUT_EFFECT[item.name]):
        report(Severity.WARNING, f'parameter "{item.name}" has no effect yet')
