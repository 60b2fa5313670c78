-- The schema information_schema: domains, helper functions and views of the SQL standard (ISO 9075-11) with PostgreSQL's
-- columns. Its tables and the properties of its functions are facts; the definitions are written here, and checked by
-- `make generate` against the columns that the facts give.

CREATE DOMAIN cardinal_number AS integer CONSTRAINT cardinal_number_domain_check CHECK (value >= 0);
CREATE DOMAIN yes_or_no AS character varying(3) COLLATE "C" CONSTRAINT yes_or_no_check CHECK (value IN ('YES', 'NO'));

-- Helpers: types and lengths of columns, from pg_attribute and pg_type rows or from a type with its modifier.

CREATE FUNCTION _pg_index_position(oid, smallint) RETURNS integer LANGUAGE sql BEGIN ATOMIC
  SELECT p.n FROM (SELECT information_schema._pg_expandarray(x.indkey) AS k FROM pg_index x WHERE x.indexrelid = $1) e
         CROSS JOIN LATERAL (SELECT (e.k).x AS x, (e.k).n AS n) p
   WHERE p.x = $2;
END;
CREATE FUNCTION _pg_truetypid(pg_attribute, pg_type) RETURNS oid LANGUAGE sql
  RETURN CASE WHEN $2.typtype = 'd' THEN $2.typbasetype ELSE $1.atttypid END;
CREATE FUNCTION _pg_truetypmod(pg_attribute, pg_type) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $2.typtype = 'd' THEN $2.typtypmod ELSE $1.atttypmod END;
CREATE FUNCTION _pg_char_max_length(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $2 <> -1 THEN CASE WHEN $1 IN (1042, 1043) THEN $2 - 4 WHEN $1 IN (1560, 1562) THEN $2 END END;
CREATE FUNCTION _pg_char_octet_length(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $1 IN (25, 1042, 1043)
              THEN CASE WHEN $2 = -1 THEN 1073741824
                        ELSE information_schema._pg_char_max_length($1, $2) * pg_encoding_max_length(
                               (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database())) END END;
CREATE FUNCTION _pg_numeric_precision(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE $1 WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53
                 WHEN 1700 THEN CASE WHEN $2 <> -1 THEN (($2 - 4) >> 16) & 65535 END END;
CREATE FUNCTION _pg_numeric_precision_radix(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $1 IN (20, 21, 23, 700, 701) THEN 2 WHEN $1 = 1700 THEN 10 END;
CREATE FUNCTION _pg_numeric_scale(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $1 IN (20, 21, 23) THEN 0 WHEN $1 = 1700 AND $2 <> -1 THEN ($2 - 4) & 65535 END;
CREATE FUNCTION _pg_datetime_precision(oid, integer) RETURNS integer LANGUAGE sql
  RETURN CASE WHEN $1 = 1082 THEN 0
              WHEN $1 IN (1083, 1114, 1184, 1266) THEN CASE WHEN $2 < 0 THEN 6 ELSE $2 END
              WHEN $1 = 1186 THEN CASE WHEN $2 < 0 OR ($2 & 65535) = 65535 THEN 6 ELSE $2 & 65535 END END;
CREATE FUNCTION _pg_interval_type(oid, integer) RETURNS text LANGUAGE sql
  RETURN CASE WHEN $1 = 1186 THEN upper(substring(format_type($1, $2) FROM '^interval[()0-9]* (.+)$')) END;

CREATE VIEW information_schema_catalog_name AS
SELECT current_database()::sql_identifier AS catalog_name
;

CREATE VIEW applicable_roles AS
SELECT m.rolname::sql_identifier AS grantee, r.rolname::sql_identifier AS role_name,
       (CASE WHEN g.admin_option THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_grantable
  FROM (SELECT member, roleid, admin_option FROM pg_auth_members
        UNION
        SELECT datdba, o.oid, false FROM pg_database, pg_authid o
         WHERE datname = current_database() AND o.rolname = 'pg_database_owner') g
       JOIN pg_authid m ON m.oid = g.member
       JOIN pg_authid r ON r.oid = g.roleid
 WHERE pg_has_role(m.oid, 'USAGE');

CREATE VIEW administrable_role_authorizations AS
SELECT grantee, role_name, is_grantable
  FROM applicable_roles
 WHERE is_grantable = 'YES';

CREATE VIEW attributes AS
SELECT current_database()::sql_identifier AS udt_catalog, nc.nspname::sql_identifier AS udt_schema,
       c.relname::sql_identifier AS udt_name, a.attname::sql_identifier AS attribute_name,
       a.attnum::cardinal_number AS ordinal_position,
       pg_get_expr(ad.adbin, ad.adrelid)::character_data AS attribute_default,
       (CASE WHEN NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_nullable,
       (CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN nt.nspname = 'pg_catalog'
         THEN format_type(a.atttypid, NULL) ELSE 'USER-DEFINED' END)::character_data AS data_type,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END IN (1042, 1043, 1560, 1562)
         THEN _pg_char_max_length(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE
         WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS character_maximum_length,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END IN (25, 1042, 1043)
         THEN _pg_char_octet_length(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE
         WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS character_octet_length,
       NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       NULL::sql_identifier AS character_set_name,
       (CASE WHEN nco.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS collation_catalog,
       nco.nspname::sql_identifier AS collation_schema, co.collname::sql_identifier AS collation_name,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype
         ELSE a.atttypid END IN (20, 21, 23, 700, 701, 1700) THEN _pg_numeric_precision(CASE
         WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE WHEN t.typtype = 'd'
         THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS numeric_precision,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype
         ELSE a.atttypid END IN (20, 21, 23, 700, 701, 1700) THEN _pg_numeric_precision_radix(CASE
         WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE WHEN t.typtype = 'd'
         THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS numeric_precision_radix,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END IN (20, 21, 23, 1700)
         THEN _pg_numeric_scale(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE
         WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS numeric_scale,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype
         ELSE a.atttypid END IN (1082, 1083, 1114, 1184, 1186, 1266) THEN _pg_datetime_precision(CASE
         WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE WHEN t.typtype = 'd'
         THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS datetime_precision,
       (CASE WHEN CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END IN (1186)
         THEN _pg_interval_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, CASE
         WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END) END)::character_data AS interval_type,
       NULL::cardinal_number AS interval_precision, current_database()::sql_identifier AS attribute_udt_catalog,
       nt.nspname::sql_identifier AS attribute_udt_schema, t.typname::sql_identifier AS attribute_udt_name,
       NULL::sql_identifier AS scope_catalog, NULL::sql_identifier AS scope_schema,
       NULL::sql_identifier AS scope_name, NULL::cardinal_number AS maximum_cardinality,
       a.attnum::sql_identifier AS dtd_identifier, 'NO'::yes_or_no AS is_derived_reference_attribute
  FROM pg_attribute a
       LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
       JOIN pg_class c ON c.oid = a.attrelid
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       JOIN pg_type t ON t.oid = a.atttypid
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       LEFT JOIN (pg_collation co JOIN pg_namespace nco ON nco.oid = co.collnamespace)
         ON co.oid = a.attcollation AND NOT (nco.nspname = 'pg_catalog' AND co.collname = 'default')
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'c'
   AND (pg_has_role(c.relowner, 'USAGE') OR has_type_privilege(c.reltype, 'USAGE'));

CREATE VIEW character_sets AS
SELECT NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       getdatabaseencoding()::sql_identifier AS character_set_name,
       (CASE WHEN getdatabaseencoding() = 'UTF8' THEN 'UCS'
         ELSE getdatabaseencoding() END)::sql_identifier AS character_repertoire,
       getdatabaseencoding()::sql_identifier AS form_of_use,
       current_database()::sql_identifier AS default_collate_catalog,
       nc.nspname::sql_identifier AS default_collate_schema, co.collname::sql_identifier AS default_collate_name
  FROM pg_database d
       LEFT JOIN (pg_collation co JOIN pg_namespace nc ON nc.oid = co.collnamespace)
         ON co.collcollate = d.datcollate AND co.collctype = d.datctype AND d.datlocprovider = co.collprovider
 WHERE d.datname = current_database()
 ORDER BY length(co.collname) DESC, co.collname
 LIMIT 1;

CREATE VIEW check_constraint_routine_usage AS
SELECT DISTINCT current_database()::sql_identifier AS constraint_catalog, nc.nspname::sql_identifier AS
         constraint_schema,
       c.conname::sql_identifier AS constraint_name, current_database()::sql_identifier AS specific_catalog,
       np.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name
  FROM pg_constraint c
       JOIN pg_namespace nc ON nc.oid = c.connamespace
       JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_constraint'::regclass
                       AND d.refclassid = 'pg_proc'::regclass
       JOIN pg_proc p ON p.oid = d.refobjid
       JOIN pg_namespace np ON np.oid = p.pronamespace
 WHERE c.contype = 'c' AND pg_has_role(p.proowner, 'USAGE');

CREATE VIEW check_constraints AS
SELECT current_database()::sql_identifier AS constraint_catalog, n.nspname::sql_identifier AS constraint_schema,
       c.conname::sql_identifier AS constraint_name,
       pg_get_expr(c.conbin, c.conrelid)::character_data AS check_clause
  FROM pg_constraint c
       JOIN pg_namespace n ON n.oid = c.connamespace
       LEFT JOIN pg_class r ON r.oid = c.conrelid
       LEFT JOIN pg_type t ON t.oid = c.contypid
 WHERE c.contype = 'c' AND pg_has_role(coalesce(r.relowner, t.typowner), 'USAGE')
UNION ALL
SELECT current_database()::sql_identifier, n.nspname::sql_identifier, c.conname::sql_identifier,
       (CASE WHEN t.oid IS NOT NULL THEN 'VALUE' ELSE a.attname::text END || ' IS NOT NULL')::character_data
  FROM pg_constraint c
       JOIN pg_namespace n ON n.oid = c.connamespace
       LEFT JOIN pg_class r ON r.oid = c.conrelid
       LEFT JOIN pg_type t ON t.oid = c.contypid
       LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
 WHERE c.contype = 'n' AND pg_has_role(coalesce(r.relowner, t.typowner), 'USAGE');

CREATE VIEW collations AS
SELECT current_database()::sql_identifier AS collation_catalog, nc.nspname::sql_identifier AS collation_schema,
       c.collname::sql_identifier AS collation_name, ('NO PAD')::character_data AS pad_attribute
  FROM pg_collation c JOIN pg_namespace nc ON nc.oid = c.collnamespace
 WHERE c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()));

CREATE VIEW collation_character_set_applicability AS
SELECT current_database()::sql_identifier AS collation_catalog, nc.nspname::sql_identifier AS collation_schema,
       c.collname::sql_identifier AS collation_name, NULL::sql_identifier AS character_set_catalog,
       NULL::sql_identifier AS character_set_schema, getdatabaseencoding()::sql_identifier AS character_set_name
  FROM pg_collation c JOIN pg_namespace nc ON nc.oid = c.collnamespace
 WHERE c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()));

CREATE VIEW column_column_usage AS
SELECT DISTINCT current_database()::sql_identifier AS table_catalog, n.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name, u.attname::sql_identifier AS column_name,
       g.attname::sql_identifier AS dependent_column
  FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute g ON g.attrelid = c.oid AND g.attgenerated <> ''
       JOIN pg_attrdef ad ON ad.adrelid = c.oid AND ad.adnum = g.attnum
       JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = ad.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
       JOIN pg_attribute u ON u.attrelid = c.oid AND u.attnum = d.refobjsubid AND u.attnum <> g.attnum
 WHERE pg_has_role(c.relowner, 'USAGE');

CREATE VIEW column_domain_usage AS
SELECT current_database()::sql_identifier AS domain_catalog, nt.nspname::sql_identifier AS domain_schema,
       t.typname::sql_identifier AS domain_name, current_database()::sql_identifier AS table_catalog,
       nc.nspname::sql_identifier AS table_schema, c.relname::sql_identifier AS table_name,
       a.attname::sql_identifier AS column_name
  FROM pg_attribute a
       JOIN pg_type t ON t.oid = a.atttypid AND t.typtype = 'd'
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v', 'f', 'p')
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
 WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_has_role(t.typowner, 'USAGE');

CREATE VIEW column_privileges AS
SELECT u.rolname::sql_identifier AS grantor, g.rolname::sql_identifier AS grantee,
       current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       x.relname::sql_identifier AS table_name, x.attname::sql_identifier AS column_name,
       x.privilege::character_data AS privilege_type,
       (CASE WHEN pg_has_role(x.grantee, x.relowner, 'USAGE') OR x.is_grantable THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_grantable
  FROM (SELECT c.relname, c.relnamespace, c.relowner, a.attname, e.grantor, e.grantee, e.privilege_type AS privilege,
               e.is_grantable
          FROM pg_class c
               CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) e
               JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'v', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped
        UNION
        SELECT c.relname, c.relnamespace, c.relowner, a.attname, e.grantor, e.grantee, e.privilege_type,
         e.is_grantable
          FROM pg_attribute a
               JOIN pg_class c ON c.oid = a.attrelid
               CROSS JOIN LATERAL aclexplode(coalesce(a.attacl, acldefault('c', c.relowner))) e
         WHERE c.relkind IN ('r', 'v', 'f', 'p') AND a.attnum > 0 AND NOT a.attisdropped) x
       JOIN pg_namespace nc ON nc.oid = x.relnamespace
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE x.privilege IN ('INSERT', 'SELECT', 'UPDATE', 'REFERENCES')
   AND (pg_has_role(u.oid, 'USAGE') OR pg_has_role(g.oid, 'USAGE') OR g.rolname = 'PUBLIC');

CREATE VIEW column_udt_usage AS
SELECT current_database()::sql_identifier AS udt_catalog,
       coalesce(nbt.nspname, nt.nspname)::sql_identifier AS udt_schema,
       coalesce(bt.typname, t.typname)::sql_identifier AS udt_name,
       current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name, a.attname::sql_identifier AS column_name
  FROM pg_attribute a
       JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'v', 'f', 'p')
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       JOIN pg_type t ON t.oid = a.atttypid
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       LEFT JOIN (pg_type bt JOIN pg_namespace nbt ON nbt.oid = bt.typnamespace)
         ON t.typtype = 'd' AND bt.oid = t.typbasetype
 WHERE a.attnum > 0 AND NOT a.attisdropped AND pg_has_role(coalesce(bt.typowner, t.typowner), 'USAGE');

CREATE VIEW columns AS
SELECT current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name, a.attname::sql_identifier AS column_name,
       a.attnum::cardinal_number AS ordinal_position,
       (CASE WHEN a.attgenerated = '' THEN pg_get_expr(ad.adbin, ad.adrelid) END)::character_data AS column_default,
       (CASE WHEN NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_nullable,
       (CASE WHEN t.typtype = 'd' THEN CASE WHEN bt.typelem <> 0 AND bt.typlen = -1 THEN 'ARRAY'
         WHEN nbt.nspname = 'pg_catalog' THEN format_type(t.typbasetype, NULL) ELSE 'USER-DEFINED' END
         ELSE CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN nt.nspname = 'pg_catalog'
         THEN format_type(a.atttypid, NULL) ELSE 'USER-DEFINED' END END)::character_data AS data_type,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (1042, 1043, 1560, 1562)
         THEN _pg_char_max_length(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS character_maximum_length,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (25, 1042, 1043)
         THEN _pg_char_octet_length(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS character_octet_length,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (20, 21, 23, 700, 701, 1700)
         THEN _pg_numeric_precision(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS numeric_precision,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (20, 21, 23, 700, 701, 1700)
         THEN _pg_numeric_precision_radix(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd'
         THEN t.typtypmod ELSE a.atttypmod END) END)::cardinal_number AS numeric_precision_radix,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (20, 21, 23, 1700)
         THEN _pg_numeric_scale(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS numeric_scale,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (1082, 1083, 1114, 1184, 1186, 1266)
         THEN _pg_datetime_precision(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::cardinal_number AS datetime_precision,
       (CASE WHEN coalesce(bt.oid, a.atttypid) IN (1186)
         THEN _pg_interval_type(coalesce(bt.oid, a.atttypid), CASE WHEN t.typtype = 'd' THEN t.typtypmod
         ELSE a.atttypmod END) END)::character_data AS interval_type,
       NULL::cardinal_number AS interval_precision, NULL::sql_identifier AS character_set_catalog,
       NULL::sql_identifier AS character_set_schema, NULL::sql_identifier AS character_set_name,
       (CASE WHEN nco.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS collation_catalog,
       nco.nspname::sql_identifier AS collation_schema, co.collname::sql_identifier AS collation_name,
       (CASE WHEN t.typtype = 'd' THEN current_database() END)::sql_identifier AS domain_catalog,
       (CASE WHEN t.typtype = 'd' THEN nt.nspname END)::sql_identifier AS domain_schema,
       (CASE WHEN t.typtype = 'd' THEN t.typname END)::sql_identifier AS domain_name,
       current_database()::sql_identifier AS udt_catalog,
       coalesce(nbt.nspname, nt.nspname)::sql_identifier AS udt_schema,
       coalesce(bt.typname, t.typname)::sql_identifier AS udt_name, NULL::sql_identifier AS scope_catalog,
       NULL::sql_identifier AS scope_schema, NULL::sql_identifier AS scope_name,
       NULL::cardinal_number AS maximum_cardinality, a.attnum::sql_identifier AS dtd_identifier,
       'NO'::yes_or_no AS is_self_referencing,
       (CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_identity,
       (CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd'
         THEN 'BY DEFAULT' END)::character_data AS identity_generation,
       seq.seqstart::character_data AS identity_start, seq.seqincrement::character_data AS identity_increment,
       seq.seqmax::character_data AS identity_maximum, seq.seqmin::character_data AS identity_minimum,
       (CASE WHEN seq.seqcycle THEN 'YES' ELSE 'NO' END)::yes_or_no AS identity_cycle,
       (CASE WHEN a.attgenerated <> '' THEN 'ALWAYS' ELSE 'NEVER' END)::character_data AS is_generated,
       (CASE WHEN a.attgenerated <> ''
         THEN pg_get_expr(ad.adbin, ad.adrelid) END)::character_data AS generation_expression,
       (CASE WHEN c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f')
         AND pg_column_is_updatable(c.oid, a.attnum, false)) THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_updatable
  FROM pg_attribute a
       LEFT JOIN pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
       JOIN pg_class c ON c.oid = a.attrelid
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       JOIN pg_type t ON t.oid = a.atttypid
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       LEFT JOIN (pg_type bt JOIN pg_namespace nbt ON nbt.oid = bt.typnamespace)
         ON t.typtype = 'd' AND bt.oid = t.typbasetype
       LEFT JOIN (pg_collation co JOIN pg_namespace nco ON nco.oid = co.collnamespace)
         ON co.oid = a.attcollation AND NOT (nco.nspname = 'pg_catalog' AND co.collname = 'default')
       LEFT JOIN (pg_depend dep JOIN pg_sequence seq ON dep.classid = 'pg_class'::regclass
                                                    AND dep.objid = seq.seqrelid AND dep.deptype = 'i')
         ON dep.refclassid = 'pg_class'::regclass AND dep.refobjid = c.oid AND dep.refobjsubid = a.attnum
 WHERE NOT pg_is_other_temp_schema(nc.oid) AND a.attnum > 0 AND NOT a.attisdropped
         AND c.relkind IN ('r', 'v', 'f', 'p')
   AND (pg_has_role(c.relowner, 'USAGE')
        OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'));

CREATE VIEW constraint_column_usage AS
SELECT current_database()::sql_identifier AS table_catalog, x.tschema::sql_identifier AS table_schema,
       x.tname::sql_identifier AS table_name, x.cname::sql_identifier AS column_name,
       current_database()::sql_identifier AS constraint_catalog, x.cschema::sql_identifier AS constraint_schema,
       x.conname::sql_identifier AS constraint_name
  FROM (SELECT DISTINCT nr.nspname AS tschema, r.relname AS tname, r.relowner AS towner, a.attname AS cname,
               nc.nspname AS cschema, c.conname
          FROM pg_constraint c
               JOIN pg_namespace nc ON nc.oid = c.connamespace
               JOIN pg_depend d ON d.classid = 'pg_constraint'::regclass AND d.objid = c.oid
                               AND d.refclassid = 'pg_class'::regclass
               JOIN pg_class r ON r.oid = d.refobjid AND r.relkind IN ('r', 'p')
               JOIN pg_namespace nr ON nr.oid = r.relnamespace
               JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = d.refobjsubid AND NOT a.attisdropped
         WHERE c.contype = 'c'
        UNION ALL
        SELECT nr.nspname, r.relname, r.relowner, a.attname, nc.nspname, c.conname
          FROM pg_constraint c
               JOIN pg_namespace nc ON nc.oid = c.connamespace
               JOIN pg_class r ON r.oid = CASE c.contype WHEN 'f' THEN c.confrelid ELSE c.conrelid END
                              AND r.relkind IN ('r', 'p')
               JOIN pg_namespace nr ON nr.oid = r.relnamespace
               JOIN pg_attribute a ON a.attrelid = r.oid AND NOT a.attisdropped
                                  AND a.attnum = ANY (CASE c.contype WHEN 'f' THEN c.confkey ELSE c.conkey END)
         WHERE c.contype IN ('p', 'u', 'f', 'n')) x
 WHERE pg_has_role(x.towner, 'USAGE');

CREATE VIEW constraint_table_usage AS
SELECT current_database()::sql_identifier AS table_catalog, nr.nspname::sql_identifier AS table_schema,
       r.relname::sql_identifier AS table_name, current_database()::sql_identifier AS constraint_catalog,
       nc.nspname::sql_identifier AS constraint_schema, c.conname::sql_identifier AS constraint_name
  FROM pg_constraint c
       JOIN pg_namespace nc ON nc.oid = c.connamespace
       JOIN pg_class r ON r.oid = CASE c.contype WHEN 'f' THEN c.confrelid ELSE c.conrelid END
       JOIN pg_namespace nr ON nr.oid = r.relnamespace
 WHERE c.contype IN ('p', 'u', 'f') AND r.relkind IN ('r', 'p') AND pg_has_role(r.relowner, 'USAGE');

CREATE VIEW domain_constraints AS
SELECT current_database()::sql_identifier AS constraint_catalog, rs.nspname::sql_identifier AS constraint_schema,
       con.conname::sql_identifier AS constraint_name, current_database()::sql_identifier AS domain_catalog,
       n.nspname::sql_identifier AS domain_schema, t.typname::sql_identifier AS domain_name,
       (CASE WHEN con.condeferrable THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_deferrable,
       (CASE WHEN con.condeferred THEN 'YES' ELSE 'NO' END)::yes_or_no AS initially_deferred
  FROM pg_constraint con
       JOIN pg_namespace rs ON rs.oid = con.connamespace
       JOIN pg_type t ON t.oid = con.contypid
       JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE');

CREATE VIEW domain_udt_usage AS
SELECT current_database()::sql_identifier AS udt_catalog, nbt.nspname::sql_identifier AS udt_schema,
       bt.typname::sql_identifier AS udt_name, current_database()::sql_identifier AS domain_catalog,
       nt.nspname::sql_identifier AS domain_schema, t.typname::sql_identifier AS domain_name
  FROM pg_type t
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       JOIN pg_type bt ON bt.oid = t.typbasetype
       JOIN pg_namespace nbt ON nbt.oid = bt.typnamespace
 WHERE t.typtype = 'd' AND pg_has_role(bt.typowner, 'USAGE');

CREATE VIEW domains AS
SELECT current_database()::sql_identifier AS domain_catalog, nt.nspname::sql_identifier AS domain_schema,
       t.typname::sql_identifier AS domain_name,
       (CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN nbt.nspname = 'pg_catalog'
         THEN format_type(t.typbasetype, NULL) ELSE 'USER-DEFINED' END)::character_data AS data_type,
       (CASE WHEN t.typbasetype IN (1042, 1043, 1560, 1562)
         THEN _pg_char_max_length(t.typbasetype, t.typtypmod) END)::cardinal_number AS character_maximum_length,
       (CASE WHEN t.typbasetype IN (25, 1042, 1043)
         THEN _pg_char_octet_length(t.typbasetype, t.typtypmod) END)::cardinal_number AS character_octet_length,
       NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       NULL::sql_identifier AS character_set_name,
       (CASE WHEN nco.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS collation_catalog,
       nco.nspname::sql_identifier AS collation_schema, co.collname::sql_identifier AS collation_name,
       (CASE WHEN t.typbasetype IN (20, 21, 23, 700, 701, 1700)
         THEN _pg_numeric_precision(t.typbasetype, t.typtypmod) END)::cardinal_number AS numeric_precision,
       (CASE WHEN t.typbasetype IN (20, 21, 23, 700, 701, 1700)
         THEN _pg_numeric_precision_radix(t.typbasetype, t.typtypmod) END)::cardinal_number AS
         numeric_precision_radix,
       (CASE WHEN t.typbasetype IN (20, 21, 23, 1700)
         THEN _pg_numeric_scale(t.typbasetype, t.typtypmod) END)::cardinal_number AS numeric_scale,
       (CASE WHEN t.typbasetype IN (1082, 1083, 1114, 1184, 1186, 1266)
         THEN _pg_datetime_precision(t.typbasetype, t.typtypmod) END)::cardinal_number AS datetime_precision,
       (CASE WHEN t.typbasetype IN (1186)
         THEN _pg_interval_type(t.typbasetype, t.typtypmod) END)::character_data AS interval_type,
       NULL::cardinal_number AS interval_precision, t.typdefault::character_data AS domain_default,
       current_database()::sql_identifier AS udt_catalog, nbt.nspname::sql_identifier AS udt_schema,
       bt.typname::sql_identifier AS udt_name, NULL::sql_identifier AS scope_catalog,
       NULL::sql_identifier AS scope_schema, NULL::sql_identifier AS scope_name,
       NULL::cardinal_number AS maximum_cardinality, 1::sql_identifier AS dtd_identifier
  FROM pg_type t
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       JOIN pg_type bt ON bt.oid = t.typbasetype AND t.typtype = 'd'
       JOIN pg_namespace nbt ON nbt.oid = bt.typnamespace
       LEFT JOIN (pg_collation co JOIN pg_namespace nco ON nco.oid = co.collnamespace)
         ON co.oid = t.typcollation AND NOT (nco.nspname = 'pg_catalog' AND co.collname = 'default')
 WHERE pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE');

CREATE VIEW enabled_roles AS
SELECT a.rolname::sql_identifier AS role_name
  FROM pg_authid a
 WHERE pg_has_role(a.oid, 'USAGE');

CREATE VIEW key_column_usage AS
SELECT current_database()::sql_identifier AS constraint_catalog, k.nc_nspname::sql_identifier AS constraint_schema,
       k.conname::sql_identifier AS constraint_name, current_database()::sql_identifier AS table_catalog,
       k.nr_nspname::sql_identifier AS table_schema, k.relname::sql_identifier AS table_name,
       a.attname::sql_identifier AS column_name, ((k.key).n)::cardinal_number AS ordinal_position,
       (CASE WHEN k.contype = 'f'
         THEN _pg_index_position(k.conindid, k.confkey[(k.key).n]) END)::cardinal_number AS
         position_in_unique_constraint
  FROM (SELECT r.oid, r.relowner, r.relname, nc.nspname AS nc_nspname, nr.nspname AS nr_nspname, c.oid AS coid,
               c.conname, c.contype, c.conindid, c.confkey, _pg_expandarray(c.conkey) AS key
          FROM pg_constraint c
               JOIN pg_namespace nc ON nc.oid = c.connamespace
               JOIN pg_class r ON r.oid = c.conrelid AND r.relkind IN ('r', 'p')
               JOIN pg_namespace nr ON nr.oid = r.relnamespace
         WHERE c.contype IN ('p', 'u', 'f') AND NOT pg_is_other_temp_schema(nr.oid)) k
       JOIN pg_attribute a ON a.attrelid = k.oid AND a.attnum = (k.key).x AND NOT a.attisdropped
 WHERE pg_has_role(k.relowner, 'USAGE')
    OR has_column_privilege(k.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES');

CREATE VIEW parameters AS
SELECT current_database()::sql_identifier AS specific_catalog, s.n_nspname::sql_identifier AS specific_schema,
       nameconcatoid(s.proname, s.p_oid)::sql_identifier AS specific_name,
       ((s.arg).n)::cardinal_number AS ordinal_position,
       (CASE s.proargmodes[(s.arg).n] WHEN 'o' THEN 'OUT' WHEN 'b' THEN 'INOUT' WHEN 't' THEN 'OUT'
         ELSE 'IN' END)::character_data AS parameter_mode,
       'NO'::yes_or_no AS is_result, 'NO'::yes_or_no AS as_locator,
       (nullif(s.proargnames[(s.arg).n], ''))::sql_identifier AS parameter_name,
       (CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' WHEN nt.nspname = 'pg_catalog'
         THEN format_type(t.oid, NULL) ELSE 'USER-DEFINED' END)::character_data AS data_type,
       NULL::cardinal_number AS character_maximum_length, NULL::cardinal_number AS character_octet_length,
       NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       NULL::sql_identifier AS character_set_name, NULL::sql_identifier AS collation_catalog,
       NULL::sql_identifier AS collation_schema, NULL::sql_identifier AS collation_name,
       NULL::cardinal_number AS numeric_precision, NULL::cardinal_number AS numeric_precision_radix,
       NULL::cardinal_number AS numeric_scale, NULL::cardinal_number AS datetime_precision,
       NULL::character_data AS interval_type, NULL::cardinal_number AS interval_precision,
       current_database()::sql_identifier AS udt_catalog, nt.nspname::sql_identifier AS udt_schema,
       t.typname::sql_identifier AS udt_name, NULL::sql_identifier AS scope_catalog,
       NULL::sql_identifier AS scope_schema, NULL::sql_identifier AS scope_name,
       NULL::cardinal_number AS maximum_cardinality, ((s.arg).n)::sql_identifier AS dtd_identifier,
       (CASE WHEN pg_has_role(s.proowner, 'USAGE')
         THEN pg_get_function_arg_default(s.p_oid, (s.arg).n) END)::character_data AS parameter_default
  FROM (SELECT n.nspname AS n_nspname, p.proname, p.oid AS p_oid, p.proowner, p.proargnames, p.proargmodes,
               _pg_expandarray(coalesce(p.proallargtypes, p.proargtypes::oid[])) AS arg
          FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE (pg_has_role(p.proowner, 'USAGE') OR has_function_privilege(p.oid, 'EXECUTE'))) s
       JOIN pg_type t ON t.oid = (s.arg).x
       JOIN pg_namespace nt ON nt.oid = t.typnamespace;

CREATE VIEW referential_constraints AS
SELECT current_database()::sql_identifier AS constraint_catalog, nc.nspname::sql_identifier AS constraint_schema,
       c.conname::sql_identifier AS constraint_name,
       (CASE WHEN npk.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS unique_constraint_catalog,
       npk.nspname::sql_identifier AS unique_constraint_schema, pk.conname::sql_identifier AS unique_constraint_name,
       (CASE c.confmatchtype WHEN 'f' THEN 'FULL' WHEN 'p' THEN 'PARTIAL' WHEN 's'
         THEN 'NONE' END)::character_data AS match_option,
       (CASE c.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
         WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END)::character_data AS update_rule,
       (CASE c.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT'
         WHEN 'r' THEN 'RESTRICT' WHEN 'a' THEN 'NO ACTION' END)::character_data AS delete_rule
  FROM pg_constraint c
       JOIN pg_namespace nc ON nc.oid = c.connamespace
       JOIN pg_class r ON r.oid = c.conrelid
       LEFT JOIN (pg_constraint pk JOIN pg_namespace npk ON npk.oid = pk.connamespace)
         ON pk.conindid = c.conindid AND pk.conrelid = c.confrelid AND pk.contype IN ('p', 'u')
 WHERE c.contype = 'f'
   AND (pg_has_role(r.relowner, 'USAGE')
         OR has_table_privilege(r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(r.oid, 'INSERT, UPDATE, REFERENCES'));

CREATE VIEW role_column_grants AS
SELECT grantor, grantee, table_catalog, table_schema, table_name, column_name, privilege_type, is_grantable
  FROM column_privileges
 WHERE grantor IN (SELECT role_name FROM enabled_roles) OR grantee IN (SELECT role_name FROM enabled_roles);

CREATE VIEW routine_privileges AS
SELECT u.rolname::sql_identifier AS grantor, g.rolname::sql_identifier AS grantee,
       current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n.nspname::sql_identifier AS routine_schema,
       p.proname::sql_identifier AS routine_name, 'EXECUTE'::character_data AS privilege_type,
       (CASE WHEN pg_has_role(g.oid, p.proowner, 'USAGE') OR x.is_grantable THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_grantable
  FROM pg_proc p
       CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE x.privilege_type = 'EXECUTE' AND (pg_has_role(u.oid, 'USAGE') OR pg_has_role(g.oid, 'USAGE')
         OR g.rolname = 'PUBLIC');

CREATE VIEW role_routine_grants AS
SELECT grantor, grantee, specific_catalog, specific_schema, specific_name, routine_catalog, routine_schema,
       routine_name, privilege_type, is_grantable
  FROM routine_privileges
 WHERE grantor IN (SELECT role_name FROM enabled_roles) OR grantee IN (SELECT role_name FROM enabled_roles);

CREATE VIEW routine_column_usage AS
SELECT DISTINCT current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n.nspname::sql_identifier AS routine_schema,
       p.proname::sql_identifier AS routine_name, current_database()::sql_identifier AS table_catalog,
       nt.nspname::sql_identifier AS table_schema, t.relname::sql_identifier AS table_name,
       a.attname::sql_identifier AS column_name
  FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
       JOIN pg_class t ON t.oid = d.refobjid
       JOIN pg_namespace nt ON nt.oid = t.relnamespace
       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
 WHERE t.relkind IN ('r', 'v', 'f', 'p') AND pg_has_role(t.relowner, 'USAGE');

CREATE VIEW routine_routine_usage AS
SELECT DISTINCT current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n1.nspname::sql_identifier AS routine_schema,
       nameconcatoid(p1.proname, p1.oid)::sql_identifier AS routine_name
  FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
       JOIN pg_proc p1 ON p1.oid = d.refobjid
       JOIN pg_namespace n1 ON n1.oid = p1.pronamespace
 WHERE pg_has_role(p1.proowner, 'USAGE');

CREATE VIEW routine_sequence_usage AS
SELECT DISTINCT current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n.nspname::sql_identifier AS routine_schema,
       p.proname::sql_identifier AS routine_name, current_database()::sql_identifier AS sequence_catalog,
       nt.nspname::sql_identifier AS sequence_schema, t.relname::sql_identifier AS sequence_name
  FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
       JOIN pg_class t ON t.oid = d.refobjid
       JOIN pg_namespace nt ON nt.oid = t.relnamespace
 WHERE t.relkind = 'S' AND pg_has_role(t.relowner, 'USAGE');

CREATE VIEW routine_table_usage AS
SELECT DISTINCT current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n.nspname::sql_identifier AS routine_schema,
       p.proname::sql_identifier AS routine_name, current_database()::sql_identifier AS table_catalog,
       nt.nspname::sql_identifier AS table_schema, t.relname::sql_identifier AS table_name
  FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass
       JOIN pg_class t ON t.oid = d.refobjid
       JOIN pg_namespace nt ON nt.oid = t.relnamespace
 WHERE t.relkind IN ('r', 'v', 'f', 'p') AND pg_has_role(t.relowner, 'USAGE');

CREATE VIEW routines AS
SELECT current_database()::sql_identifier AS specific_catalog, n.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name,
       current_database()::sql_identifier AS routine_catalog, n.nspname::sql_identifier AS routine_schema,
       p.proname::sql_identifier AS routine_name,
       (CASE p.prokind WHEN 'f' THEN 'FUNCTION' WHEN 'p' THEN 'PROCEDURE' END)::character_data AS routine_type,
       NULL::sql_identifier AS module_catalog, NULL::sql_identifier AS module_schema,
       NULL::sql_identifier AS module_name, NULL::sql_identifier AS udt_catalog, NULL::sql_identifier AS udt_schema,
       NULL::sql_identifier AS udt_name,
       (CASE WHEN p.prokind <> 'p' THEN CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY'
         WHEN nt.nspname = 'pg_catalog' THEN format_type(t.oid, NULL)
         ELSE 'USER-DEFINED' END END)::character_data AS data_type,
       NULL::cardinal_number AS character_maximum_length, NULL::cardinal_number AS character_octet_length,
       NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       NULL::sql_identifier AS character_set_name, NULL::sql_identifier AS collation_catalog,
       NULL::sql_identifier AS collation_schema, NULL::sql_identifier AS collation_name,
       NULL::cardinal_number AS numeric_precision, NULL::cardinal_number AS numeric_precision_radix,
       NULL::cardinal_number AS numeric_scale, NULL::cardinal_number AS datetime_precision,
       NULL::character_data AS interval_type, NULL::cardinal_number AS interval_precision,
       (CASE WHEN nt.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS type_udt_catalog,
       nt.nspname::sql_identifier AS type_udt_schema, t.typname::sql_identifier AS type_udt_name,
       NULL::sql_identifier AS scope_catalog, NULL::sql_identifier AS scope_schema,
       NULL::sql_identifier AS scope_name, NULL::cardinal_number AS maximum_cardinality,
       (CASE WHEN p.prokind <> 'p' THEN 0 END)::sql_identifier AS dtd_identifier,
       (CASE WHEN l.lanname = 'sql' THEN 'SQL' ELSE 'EXTERNAL' END)::character_data AS routine_body,
       (CASE WHEN pg_has_role(p.proowner, 'USAGE') THEN p.prosrc END)::character_data AS routine_definition,
       (CASE WHEN l.lanname = 'c' THEN p.prosrc END)::character_data AS external_name,
       upper(l.lanname)::character_data AS external_language, 'GENERAL'::character_data AS parameter_style,
       (CASE WHEN p.provolatile = 'i' THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_deterministic,
       'MODIFIES'::character_data AS sql_data_access,
       (CASE WHEN p.prokind = 'p' THEN NULL WHEN p.proisstrict THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_null_call,
       NULL::character_data AS sql_path, 'YES'::yes_or_no AS schema_level_routine,
       0::cardinal_number AS max_dynamic_result_sets, NULL::yes_or_no AS is_user_defined_cast,
       NULL::yes_or_no AS is_implicitly_invocable,
       (CASE WHEN p.prosecdef THEN 'DEFINER' ELSE 'INVOKER' END)::character_data AS security_type,
       NULL::sql_identifier AS to_sql_specific_catalog, NULL::sql_identifier AS to_sql_specific_schema,
       NULL::sql_identifier AS to_sql_specific_name, 'NO'::yes_or_no AS as_locator, NULL::time_stamp AS created,
       NULL::time_stamp AS last_altered, NULL::yes_or_no AS new_savepoint_level, 'NO'::yes_or_no AS is_udt_dependent,
       NULL::character_data AS result_cast_from_data_type, NULL::yes_or_no AS result_cast_as_locator,
       NULL::cardinal_number AS result_cast_char_max_length, NULL::cardinal_number AS result_cast_char_octet_length,
       NULL::sql_identifier AS result_cast_char_set_catalog, NULL::sql_identifier AS result_cast_char_set_schema,
       NULL::sql_identifier AS result_cast_char_set_name, NULL::sql_identifier AS result_cast_collation_catalog,
       NULL::sql_identifier AS result_cast_collation_schema, NULL::sql_identifier AS result_cast_collation_name,
       NULL::cardinal_number AS result_cast_numeric_precision,
       NULL::cardinal_number AS result_cast_numeric_precision_radix,
       NULL::cardinal_number AS result_cast_numeric_scale, NULL::cardinal_number AS result_cast_datetime_precision,
       NULL::character_data AS result_cast_interval_type, NULL::cardinal_number AS result_cast_interval_precision,
       NULL::sql_identifier AS result_cast_type_udt_catalog, NULL::sql_identifier AS result_cast_type_udt_schema,
       NULL::sql_identifier AS result_cast_type_udt_name, NULL::sql_identifier AS result_cast_scope_catalog,
       NULL::sql_identifier AS result_cast_scope_schema, NULL::sql_identifier AS result_cast_scope_name,
       NULL::cardinal_number AS result_cast_maximum_cardinality, NULL::sql_identifier AS result_cast_dtd_identifier
  FROM pg_proc p
       JOIN pg_namespace n ON n.oid = p.pronamespace
       JOIN pg_language l ON l.oid = p.prolang
       LEFT JOIN (pg_type t JOIN pg_namespace nt ON nt.oid = t.typnamespace)
         ON t.oid = p.prorettype AND p.prokind <> 'p'
 WHERE (pg_has_role(p.proowner, 'USAGE') OR has_function_privilege(p.oid, 'EXECUTE'));

CREATE VIEW schemata AS
SELECT current_database()::sql_identifier AS catalog_name, n.nspname::sql_identifier AS schema_name,
       u.rolname::sql_identifier AS schema_owner, NULL::sql_identifier AS default_character_set_catalog,
       NULL::sql_identifier AS default_character_set_schema, NULL::sql_identifier AS default_character_set_name,
       NULL::character_data AS sql_path
  FROM pg_namespace n JOIN pg_authid u ON u.oid = n.nspowner
 WHERE pg_has_role(n.nspowner, 'USAGE') OR has_schema_privilege(n.oid, 'CREATE, USAGE');

CREATE VIEW sequences AS
SELECT current_database()::sql_identifier AS sequence_catalog, nc.nspname::sql_identifier AS sequence_schema,
       c.relname::sql_identifier AS sequence_name, format_type(s.seqtypid, NULL)::character_data AS data_type,
       _pg_numeric_precision(s.seqtypid, -1)::cardinal_number AS numeric_precision,
       2::cardinal_number AS numeric_precision_radix, 0::cardinal_number AS numeric_scale,
       s.seqstart::character_data AS start_value, s.seqmin::character_data AS minimum_value,
       s.seqmax::character_data AS maximum_value, s.seqincrement::character_data AS increment,
       (CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END)::yes_or_no AS cycle_option
  FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace nc ON nc.oid = c.relnamespace
 WHERE c.relkind = 'S' AND NOT pg_is_other_temp_schema(nc.oid)
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
         AND d.deptype = 'i')
   AND (pg_has_role(c.relowner, 'USAGE') OR has_sequence_privilege(c.oid, 'SELECT, UPDATE, USAGE'));

CREATE VIEW table_constraints AS
SELECT current_database()::sql_identifier AS constraint_catalog, nc.nspname::sql_identifier AS constraint_schema,
       c.conname::sql_identifier AS constraint_name, current_database()::sql_identifier AS table_catalog,
       nr.nspname::sql_identifier AS table_schema, r.relname::sql_identifier AS table_name,
       (CASE c.contype WHEN 'c' THEN 'CHECK' WHEN 'f' THEN 'FOREIGN KEY' WHEN 'n' THEN 'CHECK' WHEN 'p'
         THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' END)::character_data AS constraint_type,
       (CASE WHEN c.condeferrable THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_deferrable,
       (CASE WHEN c.condeferred THEN 'YES' ELSE 'NO' END)::yes_or_no AS initially_deferred,
       (CASE WHEN c.conenforced THEN 'YES' ELSE 'NO' END)::yes_or_no AS enforced,
       (CASE WHEN c.contype = 'u' THEN
         (SELECT CASE WHEN x.indnullsnotdistinct THEN 'NO' ELSE 'YES' END
         FROM pg_index x WHERE x.indexrelid = c.conindid) END)::yes_or_no AS nulls_distinct
  FROM pg_constraint c
       JOIN pg_namespace nc ON nc.oid = c.connamespace
       JOIN pg_class r ON r.oid = c.conrelid
       JOIN pg_namespace nr ON nr.oid = r.relnamespace
 WHERE c.contype IN ('c', 'f', 'n', 'p', 'u') AND r.relkind IN ('r', 'p') AND NOT pg_is_other_temp_schema(nr.oid)
   AND (pg_has_role(r.relowner, 'USAGE')
        OR has_table_privilege(r.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(r.oid, 'INSERT, UPDATE, REFERENCES'));

CREATE VIEW table_privileges AS
SELECT u.rolname::sql_identifier AS grantor, g.rolname::sql_identifier AS grantee,
       current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name, x.privilege_type::character_data AS privilege_type,
       (CASE WHEN pg_has_role(g.oid, c.relowner, 'USAGE') OR x.is_grantable THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_grantable,
       (CASE WHEN x.privilege_type = 'SELECT' THEN 'YES' ELSE 'NO' END)::yes_or_no AS with_hierarchy
  FROM pg_class c
       CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE c.relkind IN ('r', 'v', 'f', 'p')
   AND x.privilege_type IN ('INSERT', 'SELECT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER')
   AND (pg_has_role(u.oid, 'USAGE') OR pg_has_role(g.oid, 'USAGE') OR g.rolname = 'PUBLIC');

CREATE VIEW role_table_grants AS
SELECT grantor, grantee, table_catalog, table_schema, table_name, privilege_type, is_grantable, with_hierarchy
  FROM table_privileges
 WHERE grantor IN (SELECT role_name FROM enabled_roles) OR grantee IN (SELECT role_name FROM enabled_roles);

CREATE VIEW tables AS
SELECT current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name,
       (CASE WHEN nc.oid = pg_my_temp_schema() THEN 'LOCAL TEMPORARY' WHEN c.relkind IN ('r', 'p')
         THEN 'BASE TABLE' WHEN c.relkind = 'v' THEN 'VIEW' WHEN c.relkind = 'f'
         THEN 'FOREIGN' END)::character_data AS table_type,
       NULL::sql_identifier AS self_referencing_column_name, NULL::character_data AS reference_generation,
       (CASE WHEN t.typname IS NOT NULL THEN current_database() END)::sql_identifier AS user_defined_type_catalog,
       nt.nspname::sql_identifier AS user_defined_type_schema, t.typname::sql_identifier AS user_defined_type_name,
       (CASE WHEN c.relkind IN ('r', 'p') OR (c.relkind IN ('v', 'f')
         AND pg_relation_is_updatable(c.oid, false) & 8 = 8) THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_insertable_into,
       (CASE WHEN t.typname IS NOT NULL THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_typed,
       NULL::character_data AS commit_action
  FROM pg_class c
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       LEFT JOIN (pg_type t JOIN pg_namespace nt ON nt.oid = t.typnamespace) ON t.oid = c.reloftype
 WHERE c.relkind IN ('r', 'v', 'f', 'p') AND NOT pg_is_other_temp_schema(nc.oid)
   AND (pg_has_role(c.relowner, 'USAGE')
        OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'));

CREATE VIEW transforms AS
SELECT current_database()::sql_identifier AS udt_catalog, nt.nspname::sql_identifier AS udt_schema,
       t.typname::sql_identifier AS udt_name, current_database()::sql_identifier AS specific_catalog,
       np.nspname::sql_identifier AS specific_schema, nameconcatoid(p.proname, p.oid)::sql_identifier AS
         specific_name,
       l.lanname::sql_identifier AS group_name, 'FROM SQL'::character_data AS transform_type
  FROM pg_transform x
       JOIN pg_type t ON t.oid = x.trftype
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       JOIN pg_language l ON l.oid = x.trflang
       JOIN pg_proc p ON p.oid = x.trffromsql
       JOIN pg_namespace np ON np.oid = p.pronamespace
UNION
SELECT current_database()::sql_identifier AS udt_catalog, nt.nspname::sql_identifier AS udt_schema,
       t.typname::sql_identifier AS udt_name, current_database()::sql_identifier AS specific_catalog,
       np.nspname::sql_identifier AS specific_schema, nameconcatoid(p.proname, p.oid)::sql_identifier AS
         specific_name,
       l.lanname::sql_identifier AS group_name, 'TO SQL'::character_data AS transform_type
  FROM pg_transform x
       JOIN pg_type t ON t.oid = x.trftype
       JOIN pg_namespace nt ON nt.oid = t.typnamespace
       JOIN pg_language l ON l.oid = x.trflang
       JOIN pg_proc p ON p.oid = x.trftosql
       JOIN pg_namespace np ON np.oid = p.pronamespace
 ORDER BY udt_catalog, udt_schema, udt_name, group_name, transform_type;

CREATE VIEW triggered_update_columns AS
SELECT current_database()::sql_identifier AS trigger_catalog, nc.nspname::sql_identifier AS trigger_schema,
       t.tgname::sql_identifier AS trigger_name, current_database()::sql_identifier AS event_object_catalog,
       nc.nspname::sql_identifier AS event_object_schema, c.relname::sql_identifier AS event_object_table,
       a.attname::sql_identifier AS event_object_column
  FROM pg_trigger t
       JOIN pg_class c ON c.oid = t.tgrelid
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       CROSS JOIN LATERAL unnest(t.tgattr) k(attnum)
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
 WHERE NOT t.tgisinternal AND NOT pg_is_other_temp_schema(nc.oid)
   AND (pg_has_role(c.relowner, 'USAGE') OR has_column_privilege(c.oid, a.attnum, 'INSERT, UPDATE, REFERENCES'));

CREATE VIEW triggers AS
SELECT current_database()::sql_identifier AS trigger_catalog, nc.nspname::sql_identifier AS trigger_schema,
       t.tgname::sql_identifier AS trigger_name, em.text::character_data AS event_manipulation,
       current_database()::sql_identifier AS event_object_catalog, nc.nspname::sql_identifier AS event_object_schema,
       c.relname::sql_identifier AS event_object_table,
       (rank() OVER (PARTITION BY nc.oid, c.oid, em.num, t.tgtype & 1, t.tgtype & 66 ORDER BY
         t.tgname))::cardinal_number AS action_order,
       (CASE WHEN pg_has_role(c.relowner, 'USAGE')
         THEN (regexp_match(pg_get_triggerdef(t.oid), '.{35,}\sWHEN\s[(](.+)[)]\sEXECUTE\sFUNCTION'))[1]
         END)::character_data AS action_condition,
       (substring(pg_get_triggerdef(t.oid)
         FROM position('EXECUTE FUNCTION' IN substring(pg_get_triggerdef(t.oid)
         FROM 48)) + 47))::character_data AS action_statement,
       (CASE WHEN t.tgtype & 1 = 1 THEN 'ROW' ELSE 'STATEMENT' END)::character_data AS action_orientation,
       (CASE t.tgtype & 66 WHEN 2 THEN 'BEFORE' WHEN 64 THEN 'INSTEAD OF'
         ELSE 'AFTER' END)::character_data AS action_timing,
       t.tgoldtable::sql_identifier AS action_reference_old_table,
       t.tgnewtable::sql_identifier AS action_reference_new_table, NULL::sql_identifier AS action_reference_old_row,
       NULL::sql_identifier AS action_reference_new_row, NULL::time_stamp AS created
  FROM pg_trigger t
       JOIN pg_class c ON c.oid = t.tgrelid
       JOIN pg_namespace nc ON nc.oid = c.relnamespace
       JOIN (VALUES (4, 'INSERT'), (8, 'DELETE'), (16, 'UPDATE')) em(num, text) ON t.tgtype & em.num <> 0
 WHERE NOT t.tgisinternal AND NOT pg_is_other_temp_schema(nc.oid)
   AND (pg_has_role(c.relowner, 'USAGE')
        OR has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(c.oid, 'INSERT, UPDATE, REFERENCES'));

CREATE VIEW udt_privileges AS
SELECT u.rolname::sql_identifier AS grantor, g.rolname::sql_identifier AS grantee,
       current_database()::sql_identifier AS udt_catalog, n.nspname::sql_identifier AS udt_schema,
       t.typname::sql_identifier AS udt_name, ('TYPE USAGE')::character_data AS privilege_type,
       (CASE WHEN pg_has_role(g.oid, t.typowner, 'USAGE') OR x.is_grantable THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_grantable
  FROM pg_type t
       CROSS JOIN LATERAL aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) x
       JOIN pg_namespace n ON n.oid = t.typnamespace
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE t.typtype = 'c' AND x.privilege_type = 'USAGE' AND (pg_has_role(u.oid, 'USAGE')
         OR pg_has_role(g.oid, 'USAGE') OR g.rolname = 'PUBLIC');

CREATE VIEW role_udt_grants AS
SELECT grantor, grantee, udt_catalog, udt_schema, udt_name, privilege_type, is_grantable
  FROM udt_privileges
 WHERE grantor IN (SELECT role_name FROM enabled_roles) OR grantee IN (SELECT role_name FROM enabled_roles);

CREATE VIEW usage_privileges AS
SELECT u.rolname::sql_identifier AS grantor, 'PUBLIC'::sql_identifier AS grantee,
         current_database()::sql_identifier AS object_catalog,
       n.nspname::sql_identifier AS object_schema, c.collname::sql_identifier AS object_name,
       'COLLATION'::character_data AS object_type, 'USAGE'::character_data AS privilege_type,
       'NO'::yes_or_no AS is_grantable
  FROM pg_collation c
       JOIN pg_namespace n ON n.oid = c.collnamespace
       JOIN pg_authid u ON u.oid = c.collowner
 WHERE c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))
UNION ALL
SELECT u.rolname::sql_identifier, g.rolname::sql_identifier, current_database()::sql_identifier,
         n.nspname::sql_identifier,
       t.typname::sql_identifier, 'DOMAIN'::character_data, 'USAGE'::character_data,
       (CASE WHEN pg_has_role(g.oid, t.typowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END)::yes_or_no
  FROM pg_type t
       JOIN pg_namespace n ON n.oid = t.typnamespace
       CROSS JOIN LATERAL aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) x
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE t.typtype = 'd' AND x.privilege_type = 'USAGE' AND (pg_has_role(u.oid, 'USAGE')
         OR pg_has_role(g.oid, 'USAGE') OR g.rolname = 'PUBLIC')
UNION ALL
SELECT u.rolname::sql_identifier, g.rolname::sql_identifier, current_database()::sql_identifier, ''::sql_identifier,
       f.fdwname::sql_identifier, 'FOREIGN DATA WRAPPER'::character_data, 'USAGE'::character_data,
       (CASE WHEN pg_has_role(g.oid, f.fdwowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END)::yes_or_no
  FROM pg_foreign_data_wrapper f
       CROSS JOIN LATERAL aclexplode(coalesce(f.fdwacl, acldefault('F', f.fdwowner))) x
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE x.privilege_type = 'USAGE' AND (pg_has_role(u.oid, 'USAGE') OR pg_has_role(g.oid, 'USAGE')
         OR g.rolname = 'PUBLIC')
UNION ALL
SELECT u.rolname::sql_identifier, g.rolname::sql_identifier, current_database()::sql_identifier, ''::sql_identifier,
       s.srvname::sql_identifier, 'FOREIGN SERVER'::character_data, 'USAGE'::character_data,
       (CASE WHEN pg_has_role(g.oid, s.srvowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END)::yes_or_no
  FROM pg_foreign_server s
       CROSS JOIN LATERAL aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) x
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE x.privilege_type = 'USAGE' AND (pg_has_role(u.oid, 'USAGE') OR pg_has_role(g.oid, 'USAGE')
         OR g.rolname = 'PUBLIC')
UNION ALL
SELECT u.rolname::sql_identifier, g.rolname::sql_identifier, current_database()::sql_identifier,
         n.nspname::sql_identifier,
       c.relname::sql_identifier, 'SEQUENCE'::character_data, 'USAGE'::character_data,
       (CASE WHEN pg_has_role(g.oid, c.relowner, 'USAGE') OR x.is_grantable THEN 'YES' ELSE 'NO' END)::yes_or_no
  FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
       JOIN pg_authid u ON u.oid = x.grantor
       JOIN (SELECT oid, rolname FROM pg_authid UNION ALL SELECT 0::oid, 'PUBLIC') g ON g.oid = x.grantee
 WHERE c.relkind = 'S' AND x.privilege_type = 'USAGE' AND (pg_has_role(u.oid, 'USAGE')
         OR pg_has_role(g.oid, 'USAGE') OR g.rolname = 'PUBLIC');

CREATE VIEW role_usage_grants AS
SELECT grantor, grantee, object_catalog, object_schema, object_name, object_type, privilege_type, is_grantable
  FROM usage_privileges
 WHERE grantor IN (SELECT role_name FROM enabled_roles) OR grantee IN (SELECT role_name FROM enabled_roles);

CREATE VIEW user_defined_types AS
SELECT current_database()::sql_identifier AS user_defined_type_catalog,
       n.nspname::sql_identifier AS user_defined_type_schema, c.relname::sql_identifier AS user_defined_type_name,
       'STRUCTURED'::character_data AS user_defined_type_category, 'YES'::yes_or_no AS is_instantiable,
       NULL::yes_or_no AS is_final, NULL::character_data AS ordering_form, NULL::character_data AS ordering_category,
       NULL::sql_identifier AS ordering_routine_catalog, NULL::sql_identifier AS ordering_routine_schema,
       NULL::sql_identifier AS ordering_routine_name, NULL::character_data AS reference_type,
       NULL::character_data AS data_type, NULL::cardinal_number AS character_maximum_length,
       NULL::cardinal_number AS character_octet_length, NULL::sql_identifier AS character_set_catalog,
       NULL::sql_identifier AS character_set_schema, NULL::sql_identifier AS character_set_name,
       NULL::sql_identifier AS collation_catalog, NULL::sql_identifier AS collation_schema,
       NULL::sql_identifier AS collation_name, NULL::cardinal_number AS numeric_precision,
       NULL::cardinal_number AS numeric_precision_radix, NULL::cardinal_number AS numeric_scale,
       NULL::cardinal_number AS datetime_precision, NULL::character_data AS interval_type,
       NULL::cardinal_number AS interval_precision, NULL::sql_identifier AS source_dtd_identifier,
       NULL::sql_identifier AS ref_dtd_identifier
  FROM pg_class c
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_type t ON t.oid = c.reltype
 WHERE c.relkind = 'c' AND (pg_has_role(t.typowner, 'USAGE') OR has_type_privilege(t.oid, 'USAGE'));

CREATE VIEW view_column_usage AS
SELECT DISTINCT current_database()::sql_identifier AS view_catalog, nv.nspname::sql_identifier AS view_schema,
       v.relname::sql_identifier AS view_name, current_database()::sql_identifier AS table_catalog,
       nt.nspname::sql_identifier AS table_schema, t.relname::sql_identifier AS table_name,
       a.attname::sql_identifier AS column_name
  FROM pg_class v
       JOIN pg_namespace nv ON nv.oid = v.relnamespace
       JOIN pg_depend dv ON dv.refclassid = 'pg_class'::regclass AND dv.refobjid = v.oid AND dv.deptype = 'i'
                        AND dv.classid = 'pg_rewrite'::regclass
       JOIN pg_depend dt ON dt.classid = 'pg_rewrite'::regclass AND dt.objid = dv.objid AND dt.refobjid <> dv.refobjid
                        AND dt.refclassid = 'pg_class'::regclass
       JOIN pg_class t ON t.oid = dt.refobjid AND t.relkind IN ('r', 'v', 'f', 'p')
       JOIN pg_namespace nt ON nt.oid = t.relnamespace
       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = dt.refobjsubid
 WHERE v.relkind = 'v' AND pg_has_role(t.relowner, 'USAGE');

CREATE VIEW view_routine_usage AS
SELECT DISTINCT current_database()::sql_identifier AS table_catalog, nv.nspname::sql_identifier AS table_schema,
       v.relname::sql_identifier AS table_name, current_database()::sql_identifier AS specific_catalog,
       np.nspname::sql_identifier AS specific_schema,
       nameconcatoid(p.proname, p.oid)::sql_identifier AS specific_name
  FROM pg_class v
       JOIN pg_namespace nv ON nv.oid = v.relnamespace
       JOIN pg_depend dv ON dv.refclassid = 'pg_class'::regclass AND dv.refobjid = v.oid AND dv.deptype = 'i'
                        AND dv.classid = 'pg_rewrite'::regclass
       JOIN pg_depend dt ON dt.classid = 'pg_rewrite'::regclass AND dt.objid = dv.objid AND dt.refobjid <> dv.refobjid
                        AND dt.refclassid = 'pg_proc'::regclass
       JOIN pg_proc p ON p.oid = dt.refobjid
       JOIN pg_namespace np ON np.oid = p.pronamespace
 WHERE v.relkind = 'v' AND pg_has_role(p.proowner, 'USAGE');

CREATE VIEW view_table_usage AS
SELECT DISTINCT current_database()::sql_identifier AS view_catalog, nv.nspname::sql_identifier AS view_schema,
       v.relname::sql_identifier AS view_name, current_database()::sql_identifier AS table_catalog,
       nt.nspname::sql_identifier AS table_schema, t.relname::sql_identifier AS table_name
  FROM pg_class v
       JOIN pg_namespace nv ON nv.oid = v.relnamespace
       JOIN pg_depend dv ON dv.refclassid = 'pg_class'::regclass AND dv.refobjid = v.oid AND dv.deptype = 'i'
                        AND dv.classid = 'pg_rewrite'::regclass
       JOIN pg_depend dt ON dt.classid = 'pg_rewrite'::regclass AND dt.objid = dv.objid AND dt.refobjid <> dv.refobjid
                        AND dt.refclassid = 'pg_class'::regclass
       JOIN pg_class t ON t.oid = dt.refobjid AND t.relkind IN ('r', 'v', 'f', 'p')
       JOIN pg_namespace nt ON nt.oid = t.relnamespace
 WHERE v.relkind = 'v' AND pg_has_role(t.relowner, 'USAGE');

CREATE VIEW views AS
SELECT current_database()::sql_identifier AS table_catalog, nc.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name,
       (CASE WHEN pg_has_role(c.relowner, 'USAGE') THEN pg_get_viewdef(c.oid) END)::character_data AS view_definition,
       (CASE WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED'
         WHEN 'check_option=local' = ANY (c.reloptions) THEN 'LOCAL' ELSE 'NONE' END)::character_data AS check_option,
       (CASE WHEN pg_relation_is_updatable(c.oid, false) & 20 = 20 THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_updatable,
       (CASE WHEN pg_relation_is_updatable(c.oid, false) & 8 = 8 THEN 'YES'
         ELSE 'NO' END)::yes_or_no AS is_insertable_into,
       (CASE WHEN EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 81 = 81)
         THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_trigger_updatable,
       (CASE WHEN EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 73 = 73)
         THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_trigger_deletable,
       (CASE WHEN EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND g.tgtype & 69 = 69)
         THEN 'YES' ELSE 'NO' END)::yes_or_no AS is_trigger_insertable_into
  FROM pg_class c JOIN pg_namespace nc ON nc.oid = c.relnamespace
 WHERE c.relkind = 'v' AND NOT pg_is_other_temp_schema(nc.oid)
   AND (pg_has_role(c.relowner, 'USAGE')
        OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
        OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES'));

CREATE VIEW data_type_privileges AS
SELECT x.catalog::sql_identifier AS object_catalog, x.schema::sql_identifier AS object_schema,
       x.name::sql_identifier AS object_name, x.kind::character_data AS object_type,
       x.dtd::sql_identifier AS dtd_identifier
  FROM (SELECT udt_catalog AS catalog, udt_schema AS schema, udt_name AS name, 'USER-DEFINED TYPE'::text AS kind,
               dtd_identifier AS dtd FROM attributes
        UNION ALL
        SELECT table_catalog, table_schema, table_name, 'TABLE'::text, dtd_identifier FROM columns
        UNION ALL
        SELECT domain_catalog, domain_schema, domain_name, 'DOMAIN'::text, dtd_identifier FROM domains
        UNION ALL
        SELECT specific_catalog, specific_schema, specific_name, 'ROUTINE'::text, dtd_identifier FROM parameters
        UNION ALL
        SELECT specific_catalog, specific_schema, specific_name, 'ROUTINE'::text, dtd_identifier FROM routines) x;

CREATE VIEW element_types AS
SELECT current_database()::sql_identifier AS object_catalog, n.nspname::sql_identifier AS object_schema,
       x.objname::sql_identifier AS object_name, x.objtype::character_data AS object_type,
       x.objdtdid::sql_identifier AS collection_type_identifier,
       (CASE WHEN nbt.nspname = 'pg_catalog' THEN format_type(bt.oid, NULL)
         ELSE 'USER-DEFINED' END)::character_data AS data_type,
       NULL::cardinal_number AS character_maximum_length, NULL::cardinal_number AS character_octet_length,
       NULL::sql_identifier AS character_set_catalog, NULL::sql_identifier AS character_set_schema,
       NULL::sql_identifier AS character_set_name,
       (CASE WHEN nco.nspname IS NOT NULL THEN current_database() END)::sql_identifier AS collation_catalog,
       nco.nspname::sql_identifier AS collation_schema, co.collname::sql_identifier AS collation_name,
       NULL::cardinal_number AS numeric_precision, NULL::cardinal_number AS numeric_precision_radix,
       NULL::cardinal_number AS numeric_scale, NULL::cardinal_number AS datetime_precision,
       NULL::character_data AS interval_type, NULL::cardinal_number AS interval_precision,
       current_database()::sql_identifier AS udt_catalog, nbt.nspname::sql_identifier AS udt_schema,
       bt.typname::sql_identifier AS udt_name, NULL::sql_identifier AS scope_catalog,
       NULL::sql_identifier AS scope_schema, NULL::sql_identifier AS scope_name,
       NULL::cardinal_number AS maximum_cardinality, ('a' || x.objdtdid::text)::sql_identifier AS dtd_identifier
  FROM (SELECT c.relnamespace, c.relname::sql_identifier,
               CASE WHEN c.relkind = 'c' THEN 'USER-DEFINED TYPE'
         ELSE 'TABLE' END, a.attnum::sql_identifier, a.atttypid,
               a.attcollation
          FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relkind IN ('r', 'v', 'f', 'c', 'p') AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT t.typnamespace, t.typname::sql_identifier, 'DOMAIN', 1::sql_identifier, t.typbasetype, t.typcollation
          FROM pg_type t
         WHERE t.typtype = 'd'
        UNION ALL
        SELECT s.pronamespace, nameconcatoid(s.proname, s.oid)::sql_identifier, 'ROUTINE', (s.arg).n::sql_identifier,
               (s.arg).x, 0::oid
          FROM (SELECT p.pronamespace, p.proname, p.oid,
                       _pg_expandarray(coalesce(p.proallargtypes, p.proargtypes::oid[])) AS arg
                  FROM pg_proc p) s
        UNION ALL
        SELECT p.pronamespace, nameconcatoid(p.proname, p.oid)::sql_identifier, 'ROUTINE', 0::sql_identifier,
               p.prorettype, 0::oid
          FROM pg_proc p) x(objschema, objname, objtype, objdtdid, objtypeid, objcollation)
       JOIN pg_namespace n ON n.oid = x.objschema
       JOIN pg_type at ON at.oid = x.objtypeid AND at.typelem <> 0 AND at.typlen = -1
       JOIN pg_type bt ON bt.oid = at.typelem
       JOIN pg_namespace nbt ON nbt.oid = bt.typnamespace
       LEFT JOIN (pg_collation co JOIN pg_namespace nco ON nco.oid = co.collnamespace)
         ON co.oid = x.objcollation AND NOT (nco.nspname = 'pg_catalog' AND co.collname = 'default')
 WHERE (n.nspname, x.objname, x.objtype, x.objdtdid) IN
       (SELECT object_schema, object_name, object_type, dtd_identifier FROM data_type_privileges);

CREATE VIEW _pg_foreign_table_columns AS
SELECT n.nspname, c.relname, a.attname, a.attfdwoptions
  FROM pg_foreign_table t
       JOIN pg_class c ON c.oid = t.ftrelid AND c.relkind = 'f'
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE pg_has_role(c.relowner, 'USAGE')
         OR has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES');

CREATE VIEW column_options AS
SELECT current_database()::sql_identifier AS table_catalog, c.nspname::sql_identifier AS table_schema,
       c.relname::sql_identifier AS table_name, c.attname::sql_identifier AS column_name,
       o.option_name::sql_identifier AS option_name, o.option_value::character_data AS option_value
  FROM _pg_foreign_table_columns c CROSS JOIN LATERAL pg_options_to_table(c.attfdwoptions) o;

CREATE VIEW _pg_foreign_data_wrappers AS
SELECT w.oid, w.fdwowner, w.fdwoptions, current_database()::sql_identifier AS foreign_data_wrapper_catalog,
       w.fdwname::sql_identifier AS foreign_data_wrapper_name, u.rolname::sql_identifier AS authorization_identifier,
       'c'::character_data AS foreign_data_wrapper_language
  FROM pg_foreign_data_wrapper w JOIN pg_authid u ON u.oid = w.fdwowner
 WHERE pg_has_role(w.fdwowner, 'USAGE') OR has_foreign_data_wrapper_privilege(w.oid, 'USAGE');

CREATE VIEW foreign_data_wrapper_options AS
SELECT foreign_data_wrapper_catalog, foreign_data_wrapper_name, o.option_name::sql_identifier AS option_name,
       o.option_value::character_data AS option_value
  FROM _pg_foreign_data_wrappers w CROSS JOIN LATERAL pg_options_to_table(w.fdwoptions) o;

CREATE VIEW foreign_data_wrappers AS
SELECT foreign_data_wrapper_catalog, foreign_data_wrapper_name, authorization_identifier,
       NULL::character_data AS library_name, foreign_data_wrapper_language
  FROM _pg_foreign_data_wrappers;

CREATE VIEW _pg_foreign_servers AS
SELECT s.oid, s.srvoptions, current_database()::sql_identifier AS foreign_server_catalog,
       s.srvname::sql_identifier AS foreign_server_name,
       current_database()::sql_identifier AS foreign_data_wrapper_catalog,
       w.fdwname::sql_identifier AS foreign_data_wrapper_name, s.srvtype::character_data AS foreign_server_type,
       s.srvversion::character_data AS foreign_server_version, u.rolname::sql_identifier AS authorization_identifier
  FROM pg_foreign_server s
       JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
       JOIN pg_authid u ON u.oid = s.srvowner
 WHERE pg_has_role(s.srvowner, 'USAGE') OR has_server_privilege(s.oid, 'USAGE');

CREATE VIEW foreign_server_options AS
SELECT foreign_server_catalog, foreign_server_name, o.option_name::sql_identifier AS option_name,
       o.option_value::character_data AS option_value
  FROM _pg_foreign_servers s CROSS JOIN LATERAL pg_options_to_table(s.srvoptions) o;

CREATE VIEW foreign_servers AS
SELECT foreign_server_catalog, foreign_server_name, foreign_data_wrapper_catalog, foreign_data_wrapper_name,
       foreign_server_type, foreign_server_version, authorization_identifier
  FROM _pg_foreign_servers;

CREATE VIEW _pg_foreign_tables AS
SELECT current_database()::sql_identifier AS foreign_table_catalog,
       n.nspname::sql_identifier AS foreign_table_schema, c.relname::sql_identifier AS foreign_table_name,
       t.ftoptions, current_database()::sql_identifier AS foreign_server_catalog,
       s.srvname::sql_identifier AS foreign_server_name, u.rolname::sql_identifier AS authorization_identifier
  FROM pg_foreign_table t
       JOIN pg_foreign_server s ON s.oid = t.ftserver
       JOIN pg_class c ON c.oid = t.ftrelid AND c.relkind = 'f'
       JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_authid u ON u.oid = c.relowner
 WHERE pg_has_role(c.relowner, 'USAGE')
    OR has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
    OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES');

CREATE VIEW foreign_table_options AS
SELECT foreign_table_catalog, foreign_table_schema, foreign_table_name, o.option_name::sql_identifier AS option_name,
       o.option_value::character_data AS option_value
  FROM _pg_foreign_tables t CROSS JOIN LATERAL pg_options_to_table(t.ftoptions) o;

CREATE VIEW foreign_tables AS
SELECT foreign_table_catalog, foreign_table_schema, foreign_table_name, foreign_server_catalog, foreign_server_name
  FROM _pg_foreign_tables;

CREATE VIEW _pg_user_mappings AS
SELECT m.oid, m.umoptions, m.umuser, coalesce(u.rolname, 'PUBLIC')::sql_identifier AS authorization_identifier,
       s.foreign_server_catalog, s.foreign_server_name, s.authorization_identifier::sql_identifier AS srvowner
  FROM pg_user_mapping m
       LEFT JOIN pg_authid u ON u.oid = m.umuser
       JOIN _pg_foreign_servers s ON s.oid = m.umserver;

CREATE VIEW user_mapping_options AS
SELECT authorization_identifier, foreign_server_catalog, foreign_server_name,
       o.option_name::sql_identifier AS option_name,
       (CASE WHEN (m.umuser <> 0 AND m.authorization_identifier = current_user) OR (m.umuser = 0
         AND pg_has_role(m.srvowner::name, 'USAGE')) OR (SELECT r.rolsuper
         FROM pg_authid r WHERE r.rolname = current_user) THEN o.option_value END)::character_data AS option_value
  FROM _pg_user_mappings m CROSS JOIN LATERAL pg_options_to_table(m.umoptions) o;

CREATE VIEW user_mappings AS
SELECT authorization_identifier, foreign_server_catalog, foreign_server_name
  FROM _pg_user_mappings;
