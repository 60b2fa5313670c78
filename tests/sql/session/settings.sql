-- SET, SHOW, RESET and the functions about settings.
SET work_mem = '8MB';
SHOW work_mem;
SET work_mem TO 1234;
SHOW work_mem;
SET work_mem = '1kB';
SET work_mem = 'lots';
RESET work_mem;
SHOW work_mem;
SET nothere = 1;
SET my.own = 'x';
SHOW my.own;
SELECT current_setting('my.own'), current_setting('nothere.x', true);
SELECT set_config('my.own', 'y', false);
SHOW my.own;
SHOW nothere;
SET datestyle = 'German, DMY';
SHOW datestyle;
SELECT date '2024-03-01', timestamp '2024-03-01 12:34:56.789';
RESET datestyle;
SET TIME ZONE 'Europe/Berlin';
SHOW timezone;
SELECT timestamptz '2024-07-01 12:00+00';
-- differs: tag: 'SET' != ''; sqlstate: '' != '22023'; message: '' != 'invalid value for parameter "TimeZone": "Nowhere/Land"'
SET timezone = 'Nowhere/Land';
-- missing: client encoding "LATIN1" is not supported yet
SET client_encoding = 'LATIN1';
-- differs: rows: 1 and 1, first difference ((b'UTF8',), (b'LATIN1',))
SHOW client_encoding;
RESET client_encoding;
SET max_connections = 5;
SET wal_level = 'minimal';
SET fsync = off;
SET enable_seqscan = maybe;
SET enable_seqscan = off;
SHOW enable_seqscan;
RESET ALL;
SHOW enable_seqscan;
SET search_path TO a, "B", public;
SHOW search_path;
-- missing: isolation level serializable is not supported yet
SET transaction_isolation = 'serializable';
SELECT name, setting, unit, context, vartype, min_val, max_val, boot_val FROM pg_settings WHERE name IN ('work_mem', 'fsync', 'max_connections', 'datestyle') ORDER BY name;
SELECT count(*) FROM pg_settings;
SET extra_float_digits = 0;
SELECT 0.1::float8 + 0.2;
SET extra_float_digits = 1;
SELECT 0.1::float8 + 0.2;
SET bytea_output = 'escape';
SELECT '\x0041ff'::bytea;
DISCARD ALL;
