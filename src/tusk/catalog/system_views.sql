-- The system views of pg_catalog. Names, columns and types are PostgreSQL's; their row types and OIDs are facts of
-- pg_class, pg_attribute and pg_type, against which `make generate` checks what it analyzes here.

-- Roles.

CREATE VIEW pg_roles AS
SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
       r.rolconnlimit, text '********' AS rolpassword, r.rolvaliduntil, r.rolbypassrls,
       s.setconfig AS rolconfig, r.oid
  FROM pg_authid r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0;

CREATE VIEW pg_shadow AS
SELECT r.rolname AS usename, r.oid AS usesysid, r.rolcreatedb AS usecreatedb, r.rolsuper AS usesuper,
       r.rolreplication AS userepl, r.rolbypassrls AS usebypassrls, r.rolpassword AS passwd,
       r.rolvaliduntil AS valuntil, s.setconfig AS useconfig
  FROM pg_authid r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid AND s.setdatabase = 0
 WHERE r.rolcanlogin;

CREATE VIEW pg_group AS
SELECT g.rolname AS groname, g.oid AS grosysid,
       ARRAY(SELECT m.member FROM pg_auth_members m WHERE m.roleid = g.oid) AS grolist
  FROM pg_authid g
 WHERE NOT g.rolcanlogin;

CREATE VIEW pg_user AS
SELECT usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, text '********' AS passwd, valuntil, useconfig
  FROM pg_shadow;

-- Definitions of objects.

CREATE VIEW pg_policies AS
SELECT n.nspname AS schemaname, t.relname AS tablename, p.polname AS policyname,
       CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END AS permissive,
       CASE WHEN p.polroles = '{0}' THEN ARRAY['public'::name]
            ELSE ARRAY(SELECT a.rolname FROM pg_authid a WHERE a.oid = ANY (p.polroles) ORDER BY a.rolname)
       END AS roles,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                     WHEN '*' THEN 'ALL' END AS cmd,
       pg_get_expr(p.polqual, p.polrelid) AS qual, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
  FROM pg_policy p JOIN pg_class t ON t.oid = p.polrelid LEFT JOIN pg_namespace n ON n.oid = t.relnamespace;

CREATE VIEW pg_rules AS
SELECT n.nspname AS schemaname, t.relname AS tablename, r.rulename, pg_get_ruledef(r.oid) AS definition
  FROM pg_rewrite r JOIN pg_class t ON t.oid = r.ev_class LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE r.rulename <> '_RETURN';

CREATE VIEW pg_views AS
SELECT n.nspname AS schemaname, t.relname AS viewname, pg_get_userbyid(t.relowner) AS viewowner,
       pg_get_viewdef(t.oid) AS definition
  FROM pg_class t LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE t.relkind = 'v';

CREATE VIEW pg_tables AS
SELECT n.nspname AS schemaname, t.relname AS tablename, pg_get_userbyid(t.relowner) AS tableowner,
       s.spcname AS tablespace, t.relhasindex AS hasindexes, t.relhasrules AS hasrules, t.relhastriggers AS hastriggers,
       t.relrowsecurity AS rowsecurity
  FROM pg_class t
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       LEFT JOIN pg_tablespace s ON s.oid = t.reltablespace
 WHERE t.relkind IN ('r', 'p');

CREATE VIEW pg_matviews AS
SELECT n.nspname AS schemaname, t.relname AS matviewname, pg_get_userbyid(t.relowner) AS matviewowner,
       s.spcname AS tablespace, t.relhasindex AS hasindexes, t.relispopulated AS ispopulated,
       pg_get_viewdef(t.oid) AS definition
  FROM pg_class t
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       LEFT JOIN pg_tablespace s ON s.oid = t.reltablespace
 WHERE t.relkind = 'm';

CREATE VIEW pg_indexes AS
SELECT n.nspname AS schemaname, t.relname AS tablename, i.relname AS indexname, s.spcname AS tablespace,
       pg_get_indexdef(i.oid) AS indexdef
  FROM pg_index x
       JOIN pg_class t ON t.oid = x.indrelid
       JOIN pg_class i ON i.oid = x.indexrelid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
 WHERE t.relkind IN ('r', 'm', 'p') AND i.relkind IN ('i', 'I');

CREATE VIEW pg_sequences AS
SELECT n.nspname AS schemaname, t.relname AS sequencename, pg_get_userbyid(t.relowner) AS sequenceowner,
       s.seqtypid::regtype AS data_type, s.seqstart AS start_value, s.seqmin AS min_value, s.seqmax AS max_value,
       s.seqincrement AS increment_by, s.seqcycle AS cycle, s.seqcache AS cache_size,
       pg_sequence_last_value(t.oid) AS last_value
  FROM pg_sequence s JOIN pg_class t ON t.oid = s.seqrelid LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE t.relkind = 'S' AND NOT pg_is_other_temp_schema(n.oid);

-- Statistics of the planner. Only whoever may read a column sees what is known about it.

CREATE VIEW pg_stats WITH (security_barrier) AS
SELECT n.nspname AS schemaname, t.relname AS tablename, a.attname, s.stainherit AS inherited,
       s.stanullfrac AS null_frac, s.stawidth AS avg_width, s.stadistinct AS n_distinct,
       CASE WHEN s.stakind1 = 1 THEN s.stavalues1 WHEN s.stakind2 = 1 THEN s.stavalues2
            WHEN s.stakind3 = 1 THEN s.stavalues3 WHEN s.stakind4 = 1 THEN s.stavalues4
            WHEN s.stakind5 = 1 THEN s.stavalues5 END AS most_common_vals,
       CASE WHEN s.stakind1 = 1 THEN s.stanumbers1 WHEN s.stakind2 = 1 THEN s.stanumbers2
            WHEN s.stakind3 = 1 THEN s.stanumbers3 WHEN s.stakind4 = 1 THEN s.stanumbers4
            WHEN s.stakind5 = 1 THEN s.stanumbers5 END AS most_common_freqs,
       CASE WHEN s.stakind1 = 2 THEN s.stavalues1 WHEN s.stakind2 = 2 THEN s.stavalues2
            WHEN s.stakind3 = 2 THEN s.stavalues3 WHEN s.stakind4 = 2 THEN s.stavalues4
            WHEN s.stakind5 = 2 THEN s.stavalues5 END AS histogram_bounds,
       CASE WHEN s.stakind1 = 3 THEN s.stanumbers1[1] WHEN s.stakind2 = 3 THEN s.stanumbers2[1]
            WHEN s.stakind3 = 3 THEN s.stanumbers3[1] WHEN s.stakind4 = 3 THEN s.stanumbers4[1]
            WHEN s.stakind5 = 3 THEN s.stanumbers5[1] END AS correlation,
       CASE WHEN s.stakind1 = 4 THEN s.stavalues1 WHEN s.stakind2 = 4 THEN s.stavalues2
            WHEN s.stakind3 = 4 THEN s.stavalues3 WHEN s.stakind4 = 4 THEN s.stavalues4
            WHEN s.stakind5 = 4 THEN s.stavalues5 END AS most_common_elems,
       CASE WHEN s.stakind1 = 4 THEN s.stanumbers1 WHEN s.stakind2 = 4 THEN s.stanumbers2
            WHEN s.stakind3 = 4 THEN s.stanumbers3 WHEN s.stakind4 = 4 THEN s.stanumbers4
            WHEN s.stakind5 = 4 THEN s.stanumbers5 END AS most_common_elem_freqs,
       CASE WHEN s.stakind1 = 5 THEN s.stanumbers1 WHEN s.stakind2 = 5 THEN s.stanumbers2
            WHEN s.stakind3 = 5 THEN s.stanumbers3 WHEN s.stakind4 = 5 THEN s.stanumbers4
            WHEN s.stakind5 = 5 THEN s.stanumbers5 END AS elem_count_histogram,
       CASE WHEN s.stakind1 = 6 THEN s.stavalues1 WHEN s.stakind2 = 6 THEN s.stavalues2
            WHEN s.stakind3 = 6 THEN s.stavalues3 WHEN s.stakind4 = 6 THEN s.stavalues4
            WHEN s.stakind5 = 6 THEN s.stavalues5 END AS range_length_histogram,
       CASE WHEN s.stakind1 = 6 THEN s.stanumbers1[1] WHEN s.stakind2 = 6 THEN s.stanumbers2[1]
            WHEN s.stakind3 = 6 THEN s.stanumbers3[1] WHEN s.stakind4 = 6 THEN s.stanumbers4[1]
            WHEN s.stakind5 = 6 THEN s.stanumbers5[1] END AS range_empty_frac,
       CASE WHEN s.stakind1 = 7 THEN s.stavalues1 WHEN s.stakind2 = 7 THEN s.stavalues2
            WHEN s.stakind3 = 7 THEN s.stavalues3 WHEN s.stakind4 = 7 THEN s.stavalues4
            WHEN s.stakind5 = 7 THEN s.stavalues5 END AS range_bounds_histogram
  FROM pg_statistic s
       JOIN pg_class t ON t.oid = s.starelid
       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = s.staattnum
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE NOT a.attisdropped AND has_column_privilege(t.oid, a.attnum, 'select')
   AND (NOT t.relrowsecurity OR NOT row_security_active(t.oid));

CREATE VIEW pg_stats_ext WITH (security_barrier) AS
SELECT n.nspname AS schemaname, t.relname AS tablename, xn.nspname AS statistics_schemaname,
       x.stxname AS statistics_name, pg_get_userbyid(x.stxowner) AS statistics_owner,
       (SELECT array_agg(a.attname ORDER BY a.attnum) FROM unnest(x.stxkeys) k
          JOIN pg_attribute a ON a.attrelid = x.stxrelid AND a.attnum = k) AS attnames,
       pg_get_statisticsobjdef_expressions(x.oid) AS exprs, x.stxkind AS kinds, d.stxdinherit AS inherited,
       d.stxdndistinct AS n_distinct, d.stxddependencies AS dependencies, mcv.most_common_vals,
       mcv.most_common_val_nulls, mcv.most_common_freqs, mcv.most_common_base_freqs
  FROM pg_statistic_ext x
       JOIN pg_class t ON t.oid = x.stxrelid
       JOIN pg_statistic_ext_data d ON d.stxoid = x.oid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       LEFT JOIN pg_namespace xn ON xn.oid = x.stxnamespace
       LEFT JOIN LATERAL (SELECT array_agg(i.values) AS most_common_vals, array_agg(i.nulls) AS most_common_val_nulls,
                                 array_agg(i.frequency) AS most_common_freqs,
                                 array_agg(i.base_frequency) AS most_common_base_freqs
                            FROM pg_mcv_list_items(d.stxdmcv) i) mcv ON d.stxdmcv IS NOT NULL
 WHERE pg_has_role(t.relowner, 'USAGE') AND (NOT t.relrowsecurity OR NOT row_security_active(t.oid));

CREATE VIEW pg_stats_ext_exprs WITH (security_barrier) AS
SELECT n.nspname AS schemaname, t.relname AS tablename, xn.nspname AS statistics_schemaname,
       x.stxname AS statistics_name, pg_get_userbyid(x.stxowner) AS statistics_owner, e.expr,
       d.stxdinherit AS inherited, (e.s).stanullfrac AS null_frac, (e.s).stawidth AS avg_width,
       (e.s).stadistinct AS n_distinct,
       CASE WHEN (e.s).stakind1 = 1 THEN (e.s).stavalues1 WHEN (e.s).stakind2 = 1 THEN (e.s).stavalues2
            WHEN (e.s).stakind3 = 1 THEN (e.s).stavalues3 WHEN (e.s).stakind4 = 1 THEN (e.s).stavalues4
            WHEN (e.s).stakind5 = 1 THEN (e.s).stavalues5 END AS most_common_vals,
       CASE WHEN (e.s).stakind1 = 1 THEN (e.s).stanumbers1 WHEN (e.s).stakind2 = 1 THEN (e.s).stanumbers2
            WHEN (e.s).stakind3 = 1 THEN (e.s).stanumbers3 WHEN (e.s).stakind4 = 1 THEN (e.s).stanumbers4
            WHEN (e.s).stakind5 = 1 THEN (e.s).stanumbers5 END AS most_common_freqs,
       CASE WHEN (e.s).stakind1 = 2 THEN (e.s).stavalues1 WHEN (e.s).stakind2 = 2 THEN (e.s).stavalues2
            WHEN (e.s).stakind3 = 2 THEN (e.s).stavalues3 WHEN (e.s).stakind4 = 2 THEN (e.s).stavalues4
            WHEN (e.s).stakind5 = 2 THEN (e.s).stavalues5 END AS histogram_bounds,
       CASE WHEN (e.s).stakind1 = 3 THEN (e.s).stanumbers1[1] WHEN (e.s).stakind2 = 3 THEN (e.s).stanumbers2[1]
            WHEN (e.s).stakind3 = 3 THEN (e.s).stanumbers3[1] WHEN (e.s).stakind4 = 3 THEN (e.s).stanumbers4[1]
            WHEN (e.s).stakind5 = 3 THEN (e.s).stanumbers5[1] END AS correlation,
       CASE WHEN (e.s).stakind1 = 4 THEN (e.s).stavalues1 WHEN (e.s).stakind2 = 4 THEN (e.s).stavalues2
            WHEN (e.s).stakind3 = 4 THEN (e.s).stavalues3 WHEN (e.s).stakind4 = 4 THEN (e.s).stavalues4
            WHEN (e.s).stakind5 = 4 THEN (e.s).stavalues5 END AS most_common_elems,
       CASE WHEN (e.s).stakind1 = 4 THEN (e.s).stanumbers1 WHEN (e.s).stakind2 = 4 THEN (e.s).stanumbers2
            WHEN (e.s).stakind3 = 4 THEN (e.s).stanumbers3 WHEN (e.s).stakind4 = 4 THEN (e.s).stanumbers4
            WHEN (e.s).stakind5 = 4 THEN (e.s).stanumbers5 END AS most_common_elem_freqs,
       CASE WHEN (e.s).stakind1 = 5 THEN (e.s).stanumbers1 WHEN (e.s).stakind2 = 5 THEN (e.s).stanumbers2
            WHEN (e.s).stakind3 = 5 THEN (e.s).stanumbers3 WHEN (e.s).stakind4 = 5 THEN (e.s).stanumbers4
            WHEN (e.s).stakind5 = 5 THEN (e.s).stanumbers5 END AS elem_count_histogram
  FROM pg_statistic_ext x
       JOIN pg_class t ON t.oid = x.stxrelid
       JOIN pg_statistic_ext_data d ON d.stxoid = x.oid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       LEFT JOIN pg_namespace xn ON xn.oid = x.stxnamespace
       JOIN LATERAL (SELECT unnest(pg_get_statisticsobjdef_expressions(x.oid)) AS expr, unnest(d.stxdexpr) AS s) e
         ON e.expr IS NOT NULL
 WHERE pg_has_role(t.relowner, 'USAGE') AND (NOT t.relrowsecurity OR NOT row_security_active(t.oid));

CREATE VIEW pg_publication_tables AS
SELECT p.pubname, n.nspname AS schemaname, t.relname AS tablename,
       (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
         WHERE a.attrelid = m.relid AND a.attnum = ANY (m.attrs)) AS attnames,
       pg_get_expr(m.qual, m.relid) AS rowfilter
  FROM pg_publication p
       CROSS JOIN LATERAL pg_get_publication_tables(p.pubname) m
       JOIN pg_class t ON t.oid = m.relid
       JOIN pg_namespace n ON n.oid = t.relnamespace;

-- State of the server.

CREATE VIEW pg_locks AS
SELECT locktype, database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid,
       virtualtransaction, pid, mode, granted, fastpath, waitstart
  FROM pg_lock_status();

CREATE VIEW pg_cursors AS
SELECT name, statement, is_holdable, is_binary, is_scrollable, creation_time FROM pg_cursor();

CREATE VIEW pg_available_extensions AS
SELECT a.name, a.default_version, e.extversion AS installed_version, a.comment
  FROM pg_available_extensions() a LEFT JOIN pg_extension e ON e.extname = a.name;

CREATE VIEW pg_available_extension_versions AS
SELECT a.name, a.version, e.extname IS NOT NULL AS installed, a.superuser, a.trusted, a.relocatable, a.schema, a.requires,
       a.comment
  FROM pg_available_extension_versions() a
       LEFT JOIN pg_extension e ON e.extname = a.name AND e.extversion = a.version;

CREATE VIEW pg_prepared_xacts AS
SELECT p.transaction, p.gid, p.prepared, r.rolname AS owner, d.datname AS database
  FROM pg_prepared_xact() p
       LEFT JOIN pg_authid r ON r.oid = p.ownerid
       LEFT JOIN pg_database d ON d.oid = p.dbid;

CREATE VIEW pg_prepared_statements AS
SELECT name, statement, prepare_time, parameter_types, result_types, from_sql, generic_plans, custom_plans
  FROM pg_prepared_statement();

CREATE VIEW pg_seclabels AS
SELECT l.objoid, l.classoid, l.objsubid, CASE t.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                       WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' END AS objtype, t.relnamespace AS objnamespace,
       CASE WHEN pg_table_is_visible(t.oid) THEN quote_ident(t.relname) ELSE quote_ident(n.nspname) || '.' || quote_ident(t.relname) END AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_class t ON t.oid = l.objoid JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE l.classoid = 'pg_class'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'column'::text AS objtype, t.relnamespace AS objnamespace,
       CASE WHEN pg_table_is_visible(t.oid) THEN quote_ident(t.relname) ELSE quote_ident(n.nspname) || '.' || quote_ident(t.relname) END
           || '.' || quote_ident(a.attname) AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_class t ON t.oid = l.objoid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = l.objsubid
       JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE l.classoid = 'pg_class'::regclass AND l.objsubid <> 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, CASE p.prokind WHEN 'a' THEN 'aggregate' WHEN 'f' THEN 'function' WHEN 'p' THEN 'procedure' WHEN 'w' THEN 'window' END AS objtype, p.pronamespace AS objnamespace,
       CASE WHEN pg_function_is_visible(p.oid) THEN quote_ident(p.proname) ELSE quote_ident(n.nspname) || '.' || quote_ident(p.proname) END
           || '(' || pg_get_function_arguments(p.oid) || ')' AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_proc p ON p.oid = l.objoid JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE l.classoid = 'pg_proc'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, CASE WHEN t.typtype = 'd' THEN 'domain' ELSE 'type' END AS objtype, t.typnamespace AS objnamespace,
       CASE WHEN pg_type_is_visible(t.oid) THEN quote_ident(t.typname) ELSE quote_ident(n.nspname) || '.' || quote_ident(t.typname) END AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_type t ON t.oid = l.objoid JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE l.classoid = 'pg_type'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'large object'::text AS objtype, NULL::oid AS objnamespace,
       l.objoid::text AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_largeobject_metadata m ON m.oid = l.objoid
 WHERE l.classoid = 'pg_largeobject'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'language'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.lanname) AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_language o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_language'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'schema'::text AS objtype, o.oid AS objnamespace,
       quote_ident(o.nspname) AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_namespace o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_namespace'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'event trigger'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.evtname) AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_event_trigger o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_event_trigger'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, l.objsubid, 'publication'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.pubname) AS objname, l.provider, l.label
  FROM pg_seclabel l JOIN pg_publication o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_publication'::regclass AND l.objsubid = 0
UNION ALL
SELECT l.objoid, l.classoid, 0 AS objsubid, 'subscription'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.subname) AS objname, l.provider, l.label
  FROM pg_shseclabel l JOIN pg_subscription o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_subscription'::regclass
UNION ALL
SELECT l.objoid, l.classoid, 0 AS objsubid, 'database'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.datname) AS objname, l.provider, l.label
  FROM pg_shseclabel l JOIN pg_database o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_database'::regclass
UNION ALL
SELECT l.objoid, l.classoid, 0 AS objsubid, 'tablespace'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.spcname) AS objname, l.provider, l.label
  FROM pg_shseclabel l JOIN pg_tablespace o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_tablespace'::regclass
UNION ALL
SELECT l.objoid, l.classoid, 0 AS objsubid, 'role'::text AS objtype, NULL::oid AS objnamespace,
       quote_ident(o.rolname) AS objname, l.provider, l.label
  FROM pg_shseclabel l JOIN pg_authid o ON o.oid = l.objoid
 WHERE l.classoid = 'pg_authid'::regclass;

CREATE VIEW pg_settings AS
SELECT name, setting, unit, category, short_desc, extra_desc, context, vartype, source, min_val, max_val, enumvals,
       boot_val, reset_val, sourcefile, sourceline, pending_restart
  FROM pg_show_all_settings();

-- Updating a row's setting is SET; everything else does nothing.
CREATE RULE pg_settings_u AS ON UPDATE TO pg_settings WHERE new.name = old.name
    DO SELECT set_config(old.name, new.setting, false);
CREATE RULE pg_settings_n AS ON UPDATE TO pg_settings DO INSTEAD NOTHING;

CREATE VIEW pg_file_settings AS
SELECT sourcefile, sourceline, seqno, name, setting, applied, error FROM pg_show_all_file_settings();

CREATE VIEW pg_hba_file_rules AS
SELECT rule_number, file_name, line_number, type, database, user_name, address, netmask, auth_method, options, error
  FROM pg_hba_file_rules();

CREATE VIEW pg_ident_file_mappings AS
SELECT map_number, file_name, line_number, map_name, sys_name, pg_username, error FROM pg_ident_file_mappings();

CREATE VIEW pg_timezone_abbrevs AS
SELECT z.abbrev, z.utc_offset, z.is_dst FROM pg_timezone_abbrevs_zone() z
UNION ALL
SELECT f.abbrev, f.utc_offset, f.is_dst FROM pg_timezone_abbrevs_abbrevs() f
 WHERE NOT EXISTS (SELECT 1 FROM pg_timezone_abbrevs_zone() z WHERE z.abbrev = f.abbrev)
 ORDER BY abbrev;

CREATE VIEW pg_timezone_names AS
SELECT name, abbrev, utc_offset, is_dst FROM pg_timezone_names();

CREATE VIEW pg_config AS
SELECT name, setting FROM pg_config();

CREATE VIEW pg_shmem_allocations AS
SELECT name, off, size, allocated_size FROM pg_get_shmem_allocations();

CREATE VIEW pg_shmem_allocations_numa AS
SELECT name, numa_node, size FROM pg_get_shmem_allocations_numa();

CREATE VIEW pg_backend_memory_contexts AS
SELECT name, ident, type, level, path, total_bytes, total_nblocks, free_bytes, free_chunks, used_bytes
  FROM pg_get_backend_memory_contexts();

CREATE VIEW pg_wait_events AS
SELECT type, name, description FROM pg_get_wait_events();

CREATE VIEW pg_aios AS
SELECT pid, io_id, io_generation, state, operation, off, length, target, handle_data_len, raw_result, result, target_desc,
       f_sync, f_localmem, f_buffered
  FROM pg_get_aios();

-- Cumulative statistics.

CREATE VIEW pg_stat_all_tables AS
SELECT t.oid AS relid, n.nspname AS schemaname, t.relname,
       pg_stat_get_numscans(t.oid) AS seq_scan, pg_stat_get_lastscan(t.oid) AS last_seq_scan,
       pg_stat_get_tuples_returned(t.oid) AS seq_tup_read, x.idx_scan, x.last_idx_scan,
       x.fetched + pg_stat_get_tuples_fetched(t.oid) AS idx_tup_fetch,
       pg_stat_get_tuples_inserted(t.oid) AS n_tup_ins, pg_stat_get_tuples_updated(t.oid) AS n_tup_upd,
       pg_stat_get_tuples_deleted(t.oid) AS n_tup_del, pg_stat_get_tuples_hot_updated(t.oid) AS n_tup_hot_upd,
       pg_stat_get_tuples_newpage_updated(t.oid) AS n_tup_newpage_upd, pg_stat_get_live_tuples(t.oid) AS n_live_tup,
       pg_stat_get_dead_tuples(t.oid) AS n_dead_tup, pg_stat_get_mod_since_analyze(t.oid) AS n_mod_since_analyze,
       pg_stat_get_ins_since_vacuum(t.oid) AS n_ins_since_vacuum, pg_stat_get_last_vacuum_time(t.oid) AS last_vacuum,
       pg_stat_get_last_autovacuum_time(t.oid) AS last_autovacuum, pg_stat_get_last_analyze_time(t.oid) AS last_analyze,
       pg_stat_get_last_autoanalyze_time(t.oid) AS last_autoanalyze, pg_stat_get_vacuum_count(t.oid) AS vacuum_count,
       pg_stat_get_autovacuum_count(t.oid) AS autovacuum_count, pg_stat_get_analyze_count(t.oid) AS analyze_count,
       pg_stat_get_autoanalyze_count(t.oid) AS autoanalyze_count,
       pg_stat_get_total_vacuum_time(t.oid) AS total_vacuum_time,
       pg_stat_get_total_autovacuum_time(t.oid) AS total_autovacuum_time,
       pg_stat_get_total_analyze_time(t.oid) AS total_analyze_time,
       pg_stat_get_total_autoanalyze_time(t.oid) AS total_autoanalyze_time
  FROM pg_class t
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       CROSS JOIN LATERAL (SELECT sum(pg_stat_get_numscans(i.indexrelid))::bigint AS idx_scan,
                                  max(pg_stat_get_lastscan(i.indexrelid)) AS last_idx_scan,
                                  sum(pg_stat_get_tuples_fetched(i.indexrelid))::bigint AS fetched
                             FROM pg_index i WHERE i.indrelid = t.oid) x
 WHERE t.relkind IN ('r', 't', 'm', 'p');

CREATE VIEW pg_stat_xact_all_tables AS
SELECT t.oid AS relid, n.nspname AS schemaname, t.relname,
       pg_stat_get_xact_numscans(t.oid) AS seq_scan, pg_stat_get_xact_tuples_returned(t.oid) AS seq_tup_read,
       x.idx_scan, x.fetched + pg_stat_get_xact_tuples_fetched(t.oid) AS idx_tup_fetch,
       pg_stat_get_xact_tuples_inserted(t.oid) AS n_tup_ins, pg_stat_get_xact_tuples_updated(t.oid) AS n_tup_upd,
       pg_stat_get_xact_tuples_deleted(t.oid) AS n_tup_del, pg_stat_get_xact_tuples_hot_updated(t.oid) AS n_tup_hot_upd,
       pg_stat_get_xact_tuples_newpage_updated(t.oid) AS n_tup_newpage_upd
  FROM pg_class t
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       CROSS JOIN LATERAL (SELECT sum(pg_stat_get_xact_numscans(i.indexrelid))::bigint AS idx_scan,
                                  sum(pg_stat_get_xact_tuples_fetched(i.indexrelid))::bigint AS fetched
                             FROM pg_index i WHERE i.indrelid = t.oid) x
 WHERE t.relkind IN ('r', 't', 'm', 'p');

CREATE VIEW pg_stat_sys_tables AS
SELECT relid, schemaname, relname, seq_scan, last_seq_scan, seq_tup_read, idx_scan, last_idx_scan,
       idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_tup_newpage_upd, n_live_tup, n_dead_tup,
       n_mod_since_analyze, n_ins_since_vacuum, last_vacuum, last_autovacuum, last_analyze, last_autoanalyze,
       vacuum_count, autovacuum_count, analyze_count, autoanalyze_count, total_vacuum_time,
       total_autovacuum_time, total_analyze_time, total_autoanalyze_time
  FROM pg_stat_all_tables
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_stat_user_tables AS
SELECT relid, schemaname, relname, seq_scan, last_seq_scan, seq_tup_read, idx_scan, last_idx_scan,
       idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_tup_hot_upd, n_tup_newpage_upd, n_live_tup, n_dead_tup,
       n_mod_since_analyze, n_ins_since_vacuum, last_vacuum, last_autovacuum, last_analyze, last_autoanalyze,
       vacuum_count, autovacuum_count, analyze_count, autoanalyze_count, total_vacuum_time,
       total_autovacuum_time, total_analyze_time, total_autoanalyze_time
  FROM pg_stat_all_tables
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_stat_xact_sys_tables AS
SELECT relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd,
       n_tup_del, n_tup_hot_upd, n_tup_newpage_upd
  FROM pg_stat_xact_all_tables
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_stat_xact_user_tables AS
SELECT relid, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd,
       n_tup_del, n_tup_hot_upd, n_tup_newpage_upd
  FROM pg_stat_xact_all_tables
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_statio_all_tables AS
SELECT t.oid AS relid, n.nspname AS schemaname, t.relname,
       pg_stat_get_blocks_fetched(t.oid) - pg_stat_get_blocks_hit(t.oid) AS heap_blks_read,
       pg_stat_get_blocks_hit(t.oid) AS heap_blks_hit, x.idx_blks_read, x.idx_blks_hit,
       pg_stat_get_blocks_fetched(o.oid) - pg_stat_get_blocks_hit(o.oid) AS toast_blks_read,
       pg_stat_get_blocks_hit(o.oid) AS toast_blks_hit, y.idx_blks_read AS tidx_blks_read,
       y.idx_blks_hit AS tidx_blks_hit
  FROM pg_class t
       LEFT JOIN pg_class o ON o.oid = t.reltoastrelid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
       CROSS JOIN LATERAL (SELECT sum(pg_stat_get_blocks_fetched(i.indexrelid) - pg_stat_get_blocks_hit(i.indexrelid))::bigint AS idx_blks_read,
                                  sum(pg_stat_get_blocks_hit(i.indexrelid))::bigint AS idx_blks_hit
                             FROM pg_index i WHERE i.indrelid = t.oid) x
       CROSS JOIN LATERAL (SELECT sum(pg_stat_get_blocks_fetched(i.indexrelid) - pg_stat_get_blocks_hit(i.indexrelid))::bigint AS idx_blks_read,
                                  sum(pg_stat_get_blocks_hit(i.indexrelid))::bigint AS idx_blks_hit
                             FROM pg_index i WHERE i.indrelid = o.oid) y
 WHERE t.relkind IN ('r', 't', 'm');

CREATE VIEW pg_statio_sys_tables AS
SELECT relid, schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit, toast_blks_read,
       toast_blks_hit, tidx_blks_read, tidx_blks_hit
  FROM pg_statio_all_tables
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_statio_user_tables AS
SELECT relid, schemaname, relname, heap_blks_read, heap_blks_hit, idx_blks_read, idx_blks_hit, toast_blks_read,
       toast_blks_hit, tidx_blks_read, tidx_blks_hit
  FROM pg_statio_all_tables
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_stat_all_indexes AS
SELECT t.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname, t.relname, i.relname AS indexrelname,
       pg_stat_get_numscans(i.oid) AS idx_scan, pg_stat_get_lastscan(i.oid) AS last_idx_scan,
       pg_stat_get_tuples_returned(i.oid) AS idx_tup_read, pg_stat_get_tuples_fetched(i.oid) AS idx_tup_fetch
  FROM pg_index x
       JOIN pg_class t ON t.oid = x.indrelid
       JOIN pg_class i ON i.oid = x.indexrelid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE t.relkind IN ('r', 't', 'm');

CREATE VIEW pg_stat_sys_indexes AS
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_scan, last_idx_scan, idx_tup_read,
       idx_tup_fetch
  FROM pg_stat_all_indexes
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_stat_user_indexes AS
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_scan, last_idx_scan, idx_tup_read,
       idx_tup_fetch
  FROM pg_stat_all_indexes
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_statio_all_indexes AS
SELECT t.oid AS relid, i.oid AS indexrelid, n.nspname AS schemaname, t.relname, i.relname AS indexrelname,
       pg_stat_get_blocks_fetched(i.oid) - pg_stat_get_blocks_hit(i.oid) AS idx_blks_read, pg_stat_get_blocks_hit(i.oid) AS idx_blks_hit
  FROM pg_index x
       JOIN pg_class t ON t.oid = x.indrelid
       JOIN pg_class i ON i.oid = x.indexrelid
       LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE t.relkind IN ('r', 't', 'm');

CREATE VIEW pg_statio_sys_indexes AS
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_blks_read, idx_blks_hit
  FROM pg_statio_all_indexes
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_statio_user_indexes AS
SELECT relid, indexrelid, schemaname, relname, indexrelname, idx_blks_read, idx_blks_hit
  FROM pg_statio_all_indexes
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_statio_all_sequences AS
SELECT t.oid AS relid, n.nspname AS schemaname, t.relname, pg_stat_get_blocks_fetched(t.oid) - pg_stat_get_blocks_hit(t.oid) AS blks_read,
       pg_stat_get_blocks_hit(t.oid) AS blks_hit
  FROM pg_class t LEFT JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE t.relkind = 'S';

CREATE VIEW pg_statio_sys_sequences AS
SELECT relid, schemaname, relname, blks_read, blks_hit
  FROM pg_statio_all_sequences
 WHERE schemaname IN ('pg_catalog', 'information_schema') OR schemaname ~ '^pg_toast';

CREATE VIEW pg_statio_user_sequences AS
SELECT relid, schemaname, relname, blks_read, blks_hit
  FROM pg_statio_all_sequences
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') AND schemaname !~ '^pg_toast';

CREATE VIEW pg_stat_activity AS
SELECT a.datid, d.datname, a.pid, a.leader_pid, a.usesysid, r.rolname AS usename, a.application_name, a.client_addr,
       a.client_hostname, a.client_port, a.backend_start, a.xact_start, a.query_start, a.state_change,
       a.wait_event_type, a.wait_event, a.state, a.backend_xid, a.backend_xmin, a.query_id, a.query, a.backend_type
  FROM pg_stat_get_activity(NULL) a
       LEFT JOIN pg_database d ON d.oid = a.datid
       LEFT JOIN pg_authid r ON r.oid = a.usesysid;

CREATE VIEW pg_stat_replication AS
SELECT a.pid, a.usesysid, r.rolname AS usename, a.application_name, a.client_addr, a.client_hostname, a.client_port,
       a.backend_start, a.backend_xmin, w.state, w.sent_lsn, w.write_lsn, w.flush_lsn, w.replay_lsn, w.write_lag,
       w.flush_lag, w.replay_lag, w.sync_priority, w.sync_state, w.reply_time
  FROM pg_stat_get_wal_senders() w
       JOIN pg_stat_get_activity(NULL) a ON a.pid = w.pid
       LEFT JOIN pg_authid r ON r.oid = a.usesysid;

CREATE VIEW pg_stat_slru AS
SELECT name, blks_zeroed, blks_hit, blks_read, blks_written, blks_exists, flushes, truncates, stats_reset FROM pg_stat_get_slru();

CREATE VIEW pg_stat_wal_receiver AS
SELECT pid, status, receive_start_lsn, receive_start_tli, written_lsn, flushed_lsn, received_tli, last_msg_send_time,
       last_msg_receipt_time, latest_end_lsn, latest_end_time, slot_name, sender_host, sender_port, conninfo
  FROM pg_stat_get_wal_receiver()
 WHERE pid IS NOT NULL;

CREATE VIEW pg_stat_recovery_prefetch AS
SELECT stats_reset, prefetch, hit, skip_init, skip_new, skip_fpw, skip_rep, wal_distance, block_distance, io_depth
  FROM pg_stat_get_recovery_prefetch();

CREATE VIEW pg_stat_subscription AS
SELECT s.oid AS subid, s.subname, w.worker_type, w.pid, w.leader_pid, w.relid, w.received_lsn, w.last_msg_send_time,
       w.last_msg_receipt_time, w.latest_end_lsn, w.latest_end_time
  FROM pg_subscription s LEFT JOIN pg_stat_get_subscription(NULL) w ON w.subid = s.oid;

CREATE VIEW pg_stat_ssl AS
SELECT pid, ssl, sslversion AS version, sslcipher AS cipher, sslbits AS bits, ssl_client_dn AS client_dn,
       ssl_client_serial AS client_serial, ssl_issuer_dn AS issuer_dn
  FROM pg_stat_get_activity(NULL)
 WHERE client_port IS NOT NULL;

CREATE VIEW pg_stat_gssapi AS
SELECT pid, gss_auth AS gss_authenticated, gss_princ AS principal, gss_enc AS encrypted,
       gss_delegation AS credentials_delegated
  FROM pg_stat_get_activity(NULL)
 WHERE client_port IS NOT NULL;

CREATE VIEW pg_replication_slots AS
SELECT s.slot_name, s.plugin, s.slot_type, s.datoid, d.datname AS database, s.temporary, s.active, s.active_pid,
       s.xmin, s.catalog_xmin, s.restart_lsn, s.confirmed_flush_lsn, s.wal_status, s.safe_wal_size, s.two_phase,
       s.two_phase_at, s.inactive_since, s.conflicting, s.invalidation_reason, s.failover, s.synced
  FROM pg_get_replication_slots() s LEFT JOIN pg_database d ON d.oid = s.datoid;

CREATE VIEW pg_stat_replication_slots AS
SELECT t.slot_name, t.spill_txns, t.spill_count, t.spill_bytes, t.stream_txns, t.stream_count, t.stream_bytes,
       t.total_txns, t.total_bytes, t.stats_reset
  FROM pg_replication_slots s CROSS JOIN LATERAL pg_stat_get_replication_slot(s.slot_name) t
 WHERE s.datoid IS NOT NULL;

CREATE VIEW pg_stat_database AS
SELECT d.oid AS datid, d.datname,
       CASE WHEN d.oid = 0 THEN 0 ELSE pg_stat_get_db_numbackends(d.oid) END AS numbackends,
       pg_stat_get_db_xact_commit(d.oid) AS xact_commit, pg_stat_get_db_xact_rollback(d.oid) AS xact_rollback,
       pg_stat_get_db_blocks_fetched(d.oid) - pg_stat_get_db_blocks_hit(d.oid) AS blks_read,
       pg_stat_get_db_blocks_hit(d.oid) AS blks_hit, pg_stat_get_db_tuples_returned(d.oid) AS tup_returned,
       pg_stat_get_db_tuples_fetched(d.oid) AS tup_fetched, pg_stat_get_db_tuples_inserted(d.oid) AS tup_inserted,
       pg_stat_get_db_tuples_updated(d.oid) AS tup_updated, pg_stat_get_db_tuples_deleted(d.oid) AS tup_deleted,
       pg_stat_get_db_conflict_all(d.oid) AS conflicts, pg_stat_get_db_temp_files(d.oid) AS temp_files,
       pg_stat_get_db_temp_bytes(d.oid) AS temp_bytes, pg_stat_get_db_deadlocks(d.oid) AS deadlocks,
       pg_stat_get_db_checksum_failures(d.oid) AS checksum_failures,
       pg_stat_get_db_checksum_last_failure(d.oid) AS checksum_last_failure,
       pg_stat_get_db_blk_read_time(d.oid) AS blk_read_time, pg_stat_get_db_blk_write_time(d.oid) AS blk_write_time,
       pg_stat_get_db_session_time(d.oid) AS session_time, pg_stat_get_db_active_time(d.oid) AS active_time,
       pg_stat_get_db_idle_in_transaction_time(d.oid) AS idle_in_transaction_time,
       pg_stat_get_db_sessions(d.oid) AS sessions, pg_stat_get_db_sessions_abandoned(d.oid) AS sessions_abandoned,
       pg_stat_get_db_sessions_fatal(d.oid) AS sessions_fatal, pg_stat_get_db_sessions_killed(d.oid) AS sessions_killed,
       pg_stat_get_db_parallel_workers_to_launch(d.oid) AS parallel_workers_to_launch,
       pg_stat_get_db_parallel_workers_launched(d.oid) AS parallel_workers_launched,
       pg_stat_get_db_stat_reset_time(d.oid) AS stats_reset
  FROM (SELECT 0::oid AS oid, NULL::name AS datname UNION ALL SELECT b.oid, b.datname FROM pg_database b) d;

CREATE VIEW pg_stat_database_conflicts AS
SELECT d.oid AS datid, d.datname, pg_stat_get_db_conflict_tablespace(d.oid) AS confl_tablespace,
       pg_stat_get_db_conflict_lock(d.oid) AS confl_lock, pg_stat_get_db_conflict_snapshot(d.oid) AS confl_snapshot,
       pg_stat_get_db_conflict_bufferpin(d.oid) AS confl_bufferpin,
       pg_stat_get_db_conflict_startup_deadlock(d.oid) AS confl_deadlock,
       pg_stat_get_db_conflict_logicalslot(d.oid) AS confl_active_logicalslot
  FROM pg_database d;

CREATE VIEW pg_stat_user_functions AS
SELECT p.oid AS funcid, n.nspname AS schemaname, p.proname AS funcname,
       pg_stat_get_function_calls(p.oid) AS calls, pg_stat_get_function_total_time(p.oid) AS total_time,
       pg_stat_get_function_self_time(p.oid) AS self_time
  FROM pg_proc p LEFT JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prolang <> 12 AND pg_stat_get_function_calls(p.oid) IS NOT NULL;

CREATE VIEW pg_stat_xact_user_functions AS
SELECT p.oid AS funcid, n.nspname AS schemaname, p.proname AS funcname,
       pg_stat_get_xact_function_calls(p.oid) AS calls, pg_stat_get_xact_function_total_time(p.oid) AS total_time,
       pg_stat_get_xact_function_self_time(p.oid) AS self_time
  FROM pg_proc p LEFT JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prolang <> 12 AND pg_stat_get_xact_function_calls(p.oid) IS NOT NULL;

CREATE VIEW pg_stat_archiver AS
SELECT archived_count, last_archived_wal, last_archived_time, failed_count, last_failed_wal, last_failed_time, stats_reset
  FROM pg_stat_get_archiver();

CREATE VIEW pg_stat_bgwriter AS
SELECT pg_stat_get_bgwriter_buf_written_clean() AS buffers_clean,
       pg_stat_get_bgwriter_maxwritten_clean() AS maxwritten_clean, pg_stat_get_buf_alloc() AS buffers_alloc,
       pg_stat_get_bgwriter_stat_reset_time() AS stats_reset;

CREATE VIEW pg_stat_checkpointer AS
SELECT pg_stat_get_checkpointer_num_timed() AS num_timed, pg_stat_get_checkpointer_num_requested() AS num_requested,
       pg_stat_get_checkpointer_num_performed() AS num_done,
       pg_stat_get_checkpointer_restartpoints_timed() AS restartpoints_timed,
       pg_stat_get_checkpointer_restartpoints_requested() AS restartpoints_req,
       pg_stat_get_checkpointer_restartpoints_performed() AS restartpoints_done,
       pg_stat_get_checkpointer_write_time() AS write_time, pg_stat_get_checkpointer_sync_time() AS sync_time,
       pg_stat_get_checkpointer_buffers_written() AS buffers_written,
       pg_stat_get_checkpointer_slru_written() AS slru_written,
       pg_stat_get_checkpointer_stat_reset_time() AS stats_reset;

CREATE VIEW pg_stat_io AS
SELECT backend_type, object, context, reads, read_bytes, read_time, writes, write_bytes, write_time, writebacks,
       writeback_time, extends, extend_bytes, extend_time, hits, evictions, reuses, fsyncs, fsync_time, stats_reset
  FROM pg_stat_get_io();

CREATE VIEW pg_stat_wal AS
SELECT wal_records, wal_fpi, wal_bytes, wal_buffers_full, stats_reset FROM pg_stat_get_wal();

-- Progress of commands: parameter numbers and phases are those of commands/progress.h.

CREATE VIEW pg_stat_progress_analyze AS
SELECT p.pid, p.datid, d.datname, p.relid,
       CASE p.param1 WHEN 0 THEN 'initializing' WHEN 1 THEN 'acquiring sample rows'
             WHEN 2 THEN 'acquiring inherited sample rows' WHEN 3 THEN 'computing statistics'
             WHEN 4 THEN 'computing extended statistics' WHEN 5 THEN 'finalizing analyze' END AS phase,
       p.param2 AS sample_blks_total, p.param3 AS sample_blks_scanned, p.param4 AS ext_stats_total,
       p.param5 AS ext_stats_computed, p.param6 AS child_tables_total, p.param7 AS child_tables_done,
       p.param8::oid AS current_child_table_relid, p.param9::double precision / 1000000 AS delay_time
  FROM pg_stat_get_progress_info('ANALYZE') p LEFT JOIN pg_database d ON d.oid = p.datid;

CREATE VIEW pg_stat_progress_vacuum AS
SELECT p.pid, p.datid, d.datname, p.relid,
       CASE p.param1 WHEN 0 THEN 'initializing' WHEN 1 THEN 'scanning heap' WHEN 2 THEN 'vacuuming indexes'
             WHEN 3 THEN 'vacuuming heap' WHEN 4 THEN 'cleaning up indexes' WHEN 5 THEN 'truncating heap'
             WHEN 6 THEN 'performing final cleanup' END AS phase,
       p.param2 AS heap_blks_total, p.param3 AS heap_blks_scanned, p.param4 AS heap_blks_vacuumed,
       p.param5 AS index_vacuum_count, p.param6 AS max_dead_tuple_bytes, p.param7 AS dead_tuple_bytes,
       p.param8 AS num_dead_item_ids, p.param9 AS indexes_total, p.param10 AS indexes_processed,
       p.param11::double precision / 1000000 AS delay_time
  FROM pg_stat_get_progress_info('VACUUM') p LEFT JOIN pg_database d ON d.oid = p.datid;

CREATE VIEW pg_stat_progress_cluster AS
SELECT p.pid, p.datid, d.datname, p.relid,
       CASE p.param1 WHEN 1 THEN 'CLUSTER' WHEN 2 THEN 'VACUUM FULL' END AS command,
       CASE p.param2 WHEN 0 THEN 'initializing' WHEN 1 THEN 'seq scanning heap'
             WHEN 2 THEN 'index scanning heap' WHEN 3 THEN 'sorting tuples' WHEN 4 THEN 'writing new heap'
             WHEN 5 THEN 'swapping relation files' WHEN 6 THEN 'rebuilding index'
             WHEN 7 THEN 'performing final cleanup' END AS phase,
       p.param3::oid AS cluster_index_relid, p.param4 AS heap_tuples_scanned, p.param5 AS heap_tuples_written,
       p.param6 AS heap_blks_total, p.param7 AS heap_blks_scanned, p.param8 AS index_rebuild_count
  FROM pg_stat_get_progress_info('CLUSTER') p LEFT JOIN pg_database d ON d.oid = p.datid;

CREATE VIEW pg_stat_progress_create_index AS
SELECT p.pid, p.datid, d.datname, p.relid,
       p.param7::oid AS index_relid,
       CASE p.param1 WHEN 1 THEN 'CREATE INDEX' WHEN 2 THEN 'CREATE INDEX CONCURRENTLY'
             WHEN 3 THEN 'REINDEX' WHEN 4 THEN 'REINDEX CONCURRENTLY' END AS command,
       CASE p.param10
       WHEN 0 THEN 'initializing' WHEN 1 THEN 'waiting for writers before build'
       WHEN 2 THEN 'building index' || coalesce(': ' || pg_indexam_progress_phasename(p.param9::oid, p.param11), '')
       WHEN 3 THEN 'waiting for writers before validation' WHEN 4 THEN 'index validation: scanning index'
       WHEN 5 THEN 'index validation: sorting tuples' WHEN 6 THEN 'index validation: scanning table'
       WHEN 7 THEN 'waiting for old snapshots' WHEN 8 THEN 'waiting for readers before marking dead'
       WHEN 9 THEN 'waiting for readers before dropping' END AS phase,
       p.param4 AS lockers_total, p.param5 AS lockers_done, p.param6 AS current_locker_pid, p.param16 AS blocks_total,
       p.param17 AS blocks_done, p.param12 AS tuples_total, p.param13 AS tuples_done, p.param14 AS partitions_total,
       p.param15 AS partitions_done
  FROM pg_stat_get_progress_info('CREATE INDEX') p LEFT JOIN pg_database d ON d.oid = p.datid;

CREATE VIEW pg_stat_progress_basebackup AS
SELECT p.pid,
       CASE p.param1 WHEN 0 THEN 'initializing' WHEN 1 THEN 'waiting for checkpoint to finish'
             WHEN 2 THEN 'estimating backup size' WHEN 3 THEN 'streaming database files'
             WHEN 4 THEN 'waiting for wal archiving to finish' WHEN 5 THEN 'transferring wal files' END AS phase,
       nullif(p.param2, -1) AS backup_total, p.param3 AS backup_streamed, p.param4 AS tablespaces_total,
       p.param5 AS tablespaces_streamed
  FROM pg_stat_get_progress_info('BASEBACKUP') p;

CREATE VIEW pg_stat_progress_copy AS
SELECT p.pid, p.datid, d.datname, p.relid,
       CASE p.param5 WHEN 1 THEN 'COPY FROM' WHEN 2 THEN 'COPY TO' END AS command,
       CASE p.param6 WHEN 1 THEN 'FILE' WHEN 2 THEN 'PROGRAM' WHEN 3 THEN 'PIPE' WHEN 4 THEN 'CALLBACK' END AS type,
       p.param1 AS bytes_processed, p.param2 AS bytes_total, p.param3 AS tuples_processed, p.param4 AS tuples_excluded,
       p.param7 AS tuples_skipped
  FROM pg_stat_get_progress_info('COPY') p LEFT JOIN pg_database d ON d.oid = p.datid;

-- Foreign data, replication.

CREATE VIEW pg_user_mappings AS
SELECT m.oid AS umid, s.oid AS srvid, s.srvname, m.umuser,
       CASE WHEN m.umuser = 0 THEN 'public' ELSE r.rolname END AS usename,
       CASE WHEN m.umuser <> 0 AND r.rolname = current_user
                 AND (pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE'))
              OR m.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE')
              OR (SELECT u.rolsuper FROM pg_authid u WHERE u.rolname = current_user)
            THEN m.umoptions END AS umoptions
  FROM pg_user_mapping m
       JOIN pg_foreign_server s ON s.oid = m.umserver
       LEFT JOIN pg_authid r ON r.oid = m.umuser;

CREATE VIEW pg_replication_origin_status AS
SELECT local_id, external_id, remote_lsn, local_lsn FROM pg_show_replication_origin_status();

CREATE VIEW pg_stat_subscription_stats AS
SELECT t.subid, s.subname, t.apply_error_count, t.sync_error_count, t.confl_insert_exists,
       t.confl_update_origin_differs, t.confl_update_exists, t.confl_update_missing, t.confl_delete_origin_differs,
       t.confl_delete_missing, t.confl_multiple_unique_conflicts, t.stats_reset
  FROM pg_subscription s CROSS JOIN LATERAL pg_stat_get_subscription_stats(s.oid) t;
