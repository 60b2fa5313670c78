-- Bodies of the built-in functions that are written in SQL. Their other properties are facts of pg_proc; only the
-- body is taken from here: `make generate` analyzes it and stores the tree.

CREATE FUNCTION lpad(text, integer) RETURNS text LANGUAGE sql RETURN lpad($1, $2, ' ');
CREATE FUNCTION rpad(text, integer) RETURNS text LANGUAGE sql RETURN rpad($1, $2, ' ');
CREATE FUNCTION "substring"(text, text, text) RETURNS text LANGUAGE sql
  RETURN substring($1, similar_to_escape($2, $3));
CREATE FUNCTION bit_length(bit) RETURNS integer LANGUAGE sql RETURN length($1);
CREATE FUNCTION bit_length(bytea) RETURNS integer LANGUAGE sql RETURN octet_length($1) * 8;
CREATE FUNCTION bit_length(text) RETURNS integer LANGUAGE sql RETURN octet_length($1) * 8;

CREATE FUNCTION log(numeric) RETURNS numeric LANGUAGE sql RETURN log(10, $1);
CREATE FUNCTION log10(numeric) RETURNS numeric LANGUAGE sql RETURN log(10, $1);
CREATE FUNCTION round(numeric) RETURNS numeric LANGUAGE sql RETURN round($1, 0);
CREATE FUNCTION trunc(numeric) RETURNS numeric LANGUAGE sql RETURN trunc($1, 0);

CREATE FUNCTION numeric_pl_pg_lsn(numeric, pg_lsn) RETURNS pg_lsn LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION int8pl_inet(bigint, inet) RETURNS inet LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION path_contain_pt(path, point) RETURNS boolean LANGUAGE sql RETURN on_ppath($2, $1);
CREATE FUNCTION polygon(circle) RETURNS polygon LANGUAGE sql RETURN polygon(12, $1);

CREATE FUNCTION age(timestamptz) RETURNS interval LANGUAGE sql RETURN age(CAST(CURRENT_DATE AS timestamptz), $1);
CREATE FUNCTION age(timestamp) RETURNS interval LANGUAGE sql RETURN age(CAST(CURRENT_DATE AS timestamp), $1);
CREATE FUNCTION date_part(text, date) RETURNS double precision LANGUAGE sql
  RETURN date_part($1, CAST($2 AS timestamp));
CREATE FUNCTION timestamptz(date, time) RETURNS timestamptz LANGUAGE sql RETURN CAST(($1 + $2) AS timestamptz);
CREATE FUNCTION timedate_pl(time, date) RETURNS timestamp LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION timetzdate_pl(timetz, date) RETURNS timestamptz LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION interval_pl_time(interval, time) RETURNS time LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION interval_pl_date(interval, date) RETURNS timestamp LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION interval_pl_timetz(interval, timetz) RETURNS timetz LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION interval_pl_timestamp(interval, timestamp) RETURNS timestamp LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION interval_pl_timestamptz(interval, timestamptz) RETURNS timestamptz LANGUAGE sql RETURN $2 + $1;
CREATE FUNCTION integer_pl_date(integer, date) RETURNS date LANGUAGE sql RETURN $2 + $1;

CREATE FUNCTION "overlaps"(timestamptz, interval, timestamptz, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, ($3 + $4));
CREATE FUNCTION "overlaps"(timestamptz, interval, timestamptz, timestamptz) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, $4);
CREATE FUNCTION "overlaps"(timestamptz, timestamptz, timestamptz, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, $2) OVERLAPS ($3, ($3 + $4));
CREATE FUNCTION "overlaps"(timestamp, interval, timestamp, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, ($3 + $4));
CREATE FUNCTION "overlaps"(timestamp, interval, timestamp, timestamp) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, $4);
CREATE FUNCTION "overlaps"(timestamp, timestamp, timestamp, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, $2) OVERLAPS ($3, ($3 + $4));
CREATE FUNCTION "overlaps"(time, interval, time, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, ($3 + $4));
CREATE FUNCTION "overlaps"(time, interval, time, time) RETURNS boolean LANGUAGE sql
  RETURN ($1, ($1 + $2)) OVERLAPS ($3, $4);
CREATE FUNCTION "overlaps"(time, time, time, interval) RETURNS boolean LANGUAGE sql
  RETURN ($1, $2) OVERLAPS ($3, ($3 + $4));

CREATE FUNCTION xpath(text, xml) RETURNS xml[] LANGUAGE sql RETURN xpath($1, $2, '{}'::text[]);
CREATE FUNCTION xpath_exists(text, xml) RETURNS boolean LANGUAGE sql RETURN xpath_exists($1, $2, '{}'::text[]);

CREATE FUNCTION pg_sleep_for(interval) RETURNS void LANGUAGE sql
  RETURN pg_sleep(extract(epoch FROM clock_timestamp() + $1) - extract(epoch FROM clock_timestamp()));
CREATE FUNCTION pg_sleep_until(timestamptz) RETURNS void LANGUAGE sql
  RETURN pg_sleep(extract(epoch FROM $1) - extract(epoch FROM clock_timestamp()));
CREATE FUNCTION pg_relation_size(regclass) RETURNS bigint LANGUAGE sql RETURN pg_relation_size($1, 'main');

CREATE FUNCTION obj_description(oid, name) RETURNS text LANGUAGE sql BEGIN ATOMIC
  SELECT description FROM pg_description
   WHERE objoid = $1
     AND classoid = (SELECT oid FROM pg_class WHERE relname = $2 AND relnamespace = 'pg_catalog'::regnamespace)
     AND objsubid = 0;
END;
CREATE FUNCTION shobj_description(oid, name) RETURNS text LANGUAGE sql BEGIN ATOMIC
  SELECT description FROM pg_shdescription
   WHERE objoid = $1
     AND classoid = (SELECT oid FROM pg_class WHERE relname = $2 AND relnamespace = 'pg_catalog'::regnamespace);
END;
CREATE FUNCTION obj_description(oid) RETURNS text LANGUAGE sql BEGIN ATOMIC
  SELECT description FROM pg_description WHERE objoid = $1 AND objsubid = 0;
END;
CREATE FUNCTION col_description(oid, integer) RETURNS text LANGUAGE sql BEGIN ATOMIC
  SELECT description FROM pg_description
   WHERE objoid = $1 AND classoid = 'pg_class'::regclass AND objsubid = $2;
END;
