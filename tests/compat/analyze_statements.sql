select 1
select 1+1, 'a'||'b', null, true, 1.5::int, '12'::int, 'x'::varchar(3), 3000000000, 0x10, 1e5, -5, - 5
select * from pg_class
select c.* from pg_class c where c.oid = $1
select $1::int + $2, $3 || 'x'
select relname from pg_class where relname like 'a%' and relkind in ('r','v') or oid between 5 and 10
select relname from pg_class where relname = any(array['a','b'])
select relname from pg_class where oid in (select oid from pg_type)
select relname from pg_class where (oid, relname) in (select oid, typname from pg_type)
select relname from pg_class where exists (select 1 from pg_type t where t.oid=reltype)
select relname, (select max(oid) from pg_type) m from pg_class order by m desc nulls last limit 5 offset 2
select relname from pg_class c left join pg_namespace n on n.oid=c.relnamespace where n.nspname is null
select * from pg_class c natural join pg_namespace
select * from pg_attribute a join pg_type t using (oid)
select * from pg_class c join pg_namespace n using (oid) join pg_type t using (oid)
select * from pg_class c full join pg_namespace n using (oid)
select oid from pg_class c full join pg_namespace n using (oid) where oid=1
select x.oid from (pg_class c full join pg_namespace n using (oid)) x
select count(*), relkind from pg_class group by relkind having count(*) > 1 order by 1
select relkind, sum(relpages) over (partition by relkind order by oid rows between 1 preceding and current row) from pg_class window w as (order by oid)
select relkind, rank() over w from pg_class window w as (partition by relkind order by oid desc)
select distinct relkind from pg_class order by relkind
select distinct on (relkind) relkind, relname from pg_class order by relkind, relname
select relkind, relpersistence, count(*), grouping(relkind) from pg_class group by grouping sets ((relkind), (relpersistence), ())
select relkind, relpersistence, count(*) from pg_class group by rollup(relkind, relpersistence)
select relkind, count(*) filter (where relpages>1), array_agg(relname order by relname desc), string_agg(distinct relname::text, ',') from pg_class group by 1
select percentile_cont(0.5) within group (order by relpages) from pg_class
select 1 union select 2 union all select '3' order by 1 limit 1
select 'a' as x union select null except select 'b' intersect select 'c'
values (1,'a'),(2,null),(3.5,'c') order by 1
with x as (select oid from pg_class) select * from x, x y where x.oid=y.oid
with recursive t(n) as (values (1) union all select n+1 from t where n < 100) select sum(n) from t
with recursive t as (select 1 as n, 'a'::text as p union all select n+1, p||'x' from t where n < 100) select * from t
select * from generate_series(1,10) g
select * from generate_series(1,10) with ordinality as g(a,b)
select * from unnest(array[1,2],array['a','b']) as u(a,b)
select * from rows from (generate_series(1,2), generate_series(1,3)) as x
select * from pg_class c, lateral (select * from pg_attribute a where a.attrelid=c.oid) x
select * from json_to_record('{}') as x(a int, b text)
select case when relpages>1 then 'a' when relpages>2 then 'b' else null end, case relkind when 'r' then 1 else 2.5 end from pg_class
select coalesce(relname, 'x'), nullif(relpages,0), greatest(1,2.5,relpages), least('a','b') from pg_class
select relname is distinct from 'x', relname is null, (relpages>1) is not true, not relhasindex from pg_class
select array[1,2,3], array[[1,2],[3,4]], array[]::int[], (array[1,2,3])[1], (array[1,2,3])[1:2], '{1,2}'::int[]
select row(1,'a'), (1,2)=(3,4), (1,2)<(3,4), row(1,2) is distinct from row(3,4)
select c, c.relname, (c).relname, (c).* from pg_class c
select now(), current_date, current_timestamp(2), localtime, current_user, session_user, current_catalog
select extract(year from now()), date_trunc('day', now()), interval '1 day', interval '1' hour, now() - interval '1 day', timestamp '2020-01-01', date '2020-01-01'
select substring('abc' from 2 for 1), position('a' in 'b'), trim(both 'x' from 'y'), overlay('a' placing 'b' from 1), 'a' collate "C", upper('x') collate "C" < 'y', now() at time zone 'UTC'
select relname collate "C" from pg_class order by relname collate "C"
select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_attribute a
select 'pg_class'::regclass, 'int4'::regtype, 'now'::regproc, 1::oid, 'r'::"char"
select cast('1' as numeric(10,2)), '1'::char(3), 1::bigint::text, '{"a":1}'::json->'a', '{"a":1}'::jsonb->>'a', '{"a":[1]}'::jsonb @> '{}'
select ('{"a":{"b":1}}'::jsonb)['a']['b']
select generate_series(1,3), relname from pg_class
select * from pg_class tablesample bernoulli(10) repeatable (5)
select * from pg_class for update
select * from pg_class c, pg_namespace n for share of c nowait
select max(relname), min(oid), avg(relpages), bool_and(relhasindex), count(distinct relkind) from pg_class
select string_agg(relname, ',' order by oid) from pg_class
select concat('a', 1, null), format('%s', 'x'), concat_ws(',', variadic array['a','b']), make_interval(days => 3)
select to_char(now(), 'YYYY'), round(1.5), abs(-1), power(2,3), 5/2, 5%2, 2^3, |/4, @(-1), 1<<2, 1&2, ~1
select 'a' ~ 'b', 'a' !~* 'b', 'a' similar to 'b', 'a' not like 'b' escape 'c', 'a' ilike 'b'
select * from (select 1 as a, 2 as b) x(c) where c=1
select * from (values (1,2),(3,4)) v(a,b)
select 1 from pg_class having true
select sum(x) from (select count(*) as x from pg_class group by relkind) s
select relname as oid from pg_class order by oid
select oid as relname from pg_class group by relname
select relname, oid+1 from pg_class group by relname, oid+1
select n.nspname, c.relname from pg_class c join pg_namespace n on c.relnamespace=n.oid group by n.oid, c.relname
select (select c.relname) from pg_class c group by c.relname
select all_.relname from pg_class all_ cross join pg_type
select sum(relpages) filter (where relkind='r') over () from pg_class
select first_value(relname) over (order by oid range between 5 preceding and 3 following) from pg_class
select lag(oid,1,5::oid) over (order by oid), ntile(4) over (order by oid), row_number() over () from pg_class
select not true and false or true
select '2020-01-01'::date + 1, '10:00'::time + '1 hour'::interval, age(now()), justify_days('1 day')
select '\x00'::bytea, e'\n', B'101', X'1F', U&'\0041'
select array(select relname from pg_class), array_length(array[1],1), array_cat(array[1],array[2]), array[1]||2, 1||array[2]
select pg_get_viewdef('pg_views'::regclass), obj_description(1,'pg_class'), has_table_privilege('pg_class','select')
select xmin, ctid, tableoid::regclass from pg_class
select typname from pg_type where typname::text = 'x' and typlen > '5'
select * from pg_class where oid = '5' and relname = 'x' and relpages = 5.5 and reltuples > 1
select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (select substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) for 128) from pg_catalog.pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum and a.atthasdef), a.attnotnull, (select c.collname from pg_catalog.pg_collation c, pg_catalog.pg_type t where c.oid = a.attcollation and t.oid = a.atttypid and a.attcollation <> t.typcollation) as attcollation, a.attidentity, a.attgenerated from pg_catalog.pg_attribute a where a.attrelid = '1259' and a.attnum > 0 and not a.attisdropped order by a.attnum
SELECT n.nspname as "Schema", c.relname as "Name", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as "Type", pg_catalog.pg_get_userbyid(c.relowner) as "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND n.nspname <> 'information_schema' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2
insert into pg_namespace values (1,'a')
insert into pg_namespace (oid, nspname) values (1,'a'),(2,default)
insert into pg_namespace (oid, nspname) select oid, relname from pg_class
insert into pg_namespace (oid, nspname) select 1, 'x' union select 2, 'y' returning *
insert into pg_namespace (oid, nspname) values ($1,$2) returning oid, old.nspname, new.*
insert into pg_namespace default values
update pg_namespace set nspname = 'x' where oid=1
update pg_namespace n set nspname = c.relname from pg_class c where c.oid=n.oid returning n.*, c.oid
update pg_namespace set (oid, nspname) = (1,'x')
update pg_namespace set (oid, nspname) = (select oid, relname from pg_class limit 1) where oid=$1
update pg_namespace set nspacl[1] = null, nspowner = default
delete from pg_namespace where oid=1 returning oid
delete from pg_namespace using pg_class c where c.relnamespace = pg_namespace.oid
merge into pg_namespace n using pg_class c on c.oid=n.oid when matched and c.relpages>1 then update set nspname='x' when matched then delete when not matched then insert (oid,nspname) values (c.oid,c.relname)
with d as (delete from pg_namespace returning *) select * from d
declare c cursor for select * from pg_class
explain select * from pg_class
create table x as select * from pg_class
select oid into y from pg_class
select relkind::text, count(*) from pg_class group by relkind::text order by relkind::text
select relname from pg_class order by relname using >
select * from pg_class limit null
select * from pg_class fetch first 5 rows with ties
select * from pg_class order by 1 fetch first 5 rows with ties
select * from pg_class where relname = $1 and $1 is not null
select $1
select x from pg_class
select pg_class.x from pg_class
select y.x from pg_class
select c.relname from pg_class
select pg_class.relname from pg_class c
select relname from nosuch
select relname from nos.uch
select nofunc(1)
select abs('x','y')
select 1 = 'a'::text
select 1 + true
select relname from pg_class group by relkind
select * from pg_class where count(*) > 1
select * from pg_class where relname
select * from pg_class where 1
select 'abc'::int
select oid from pg_class, pg_type
select pg_class.oid from pg_class, pg_class
select 1 union select 1,2
select 1 union select 'a'
select 1 order by 2
select sum(sum(oid)) from pg_class
select relnam from pg_class
select rank() from pg_class
select max(1) over (partition by rank() over ())
insert into pg_namespace (oid, foo) values (1,2)
insert into pg_namespace (oid) values (1,2)
insert into pg_namespace (oid,nspname) values (1)
insert into pg_namespace values ('x')
insert into pg_namespace (nspname) values (true::bool)
insert into pg_namespace (oid,oid) values (1,2)
update pg_namespace set foo=1
update nosuch set foo=1
select * from pg_class c join pg_type using (foo)
select * from (select 1, 2) x(a,b,c)
with x as (select 1) select * from y
with x as (select 1), x as (select 2) select 1
select cast(1 as nosuch)
select 'x'::char(0)
select (1).x
select row(1,2).f3
select * from pg_class limit 'x'
select * from pg_class limit oid
select array[1,'a']
select case when 1 then 2 end
select a from (select 1 a) x, (select 2 a) y
select 1 as a order by a+1
select generate_series(1,2) + generate_series(1,3)
select * from pg_class where generate_series(1,2) = 1
select 'x' collate "nosuch"
select 1 collate "C"
select 'a' < 'b' collate "C" , ('a' collate "C") < ('b' collate "POSIX")
select (select 1,2)
select 1 in (select 1,2)
select exists(select) , array(select 1)
select distinct relname from pg_class order by oid
select to_date('a')
select $1 + $1
select "?column?" from (select 1) x
insert into pg_namespace as n (oid, nspname) values (1,'a') on conflict do nothing
select count(*) from pg_class having sum(oid) > 1
select relname, count(*) over (order by oid) from pg_class c left join pg_type t on t.oid=c.reltype group by relname, c.oid
select t.typname, count(*) from pg_class c left join pg_type t on t.oid=c.reltype group by t.typname
select oid, count(*) from pg_class c full join pg_type t using (oid) group by oid
select count(*) from pg_class group by cube(relkind, relpersistence), rollup(relowner)
select 1 from pg_class group by ()
select oid from pg_class group by distinct rollup(oid, relname), rollup(oid)
select grouping(relname) from pg_class group by relname||'x'
select (select count(*) from pg_type where oid = c.oid) from pg_class c group by c.oid
select (select sum(c.oid::int)) from pg_class c
select array_agg(x) from (select 1) x
select x.* from (select row(1,2) as r) x
select (x.r).f1 from (select row(1,2) as r) x
select * from pg_class where (relname, oid) = ('a', 1) and (relname, oid) in (('a',1),('b',2)) and oid not in (1,2)
select * from pg_class where oid <> all (array[1,2]) and oid > any (select 1)
select * from pg_class where not exists (select) and relkind = all('{r,v}')
select '1'::text::int, '{1}'::text[]::int[], array[1.5]::int[], 5::text || 5
select pg_catalog.count(*) from pg_class
select max(relkind), min(relname::text) from pg_class
select date '2001-01-01' - interval '1 day', now() > '2020-01-01', timestamp '2020-01-01' at time zone 'UTC', current_time(0)
select to_timestamp(1), make_date(2020,1,1), now()::date, extract(epoch from interval '1 day')
select coalesce(null, null), coalesce(null, 1), greatest(null, 'a')
select nullif(1, 'a')
select nullif(1, 2.0), 1 is distinct from 2.0
select case 'a' when 'b' then 1 end
select 'a' || 1, 1 || 'a', 'a' || null, null || null
select $1 || 'x', $2::text, $3 = 1, $4 + 1::bigint
select * from pg_class where relname = $1 order by oid limit $2 offset $3
select * from pg_class where oid = any($1)
insert into pg_namespace values ($1, $2, $3, $4)
update pg_namespace set nspname = $1 where oid = $2 returning *
select case when true then $1 else 1 end
select $1::int4[] , $2::varchar(10)
select null::int, 'x'::unknown, null + 1
select -'5'
select +5, - -5, 5!
select 1 <> 2, 1 != 2, 1 <= 2
select 'a' between 'b' and 'c', 1 not between 2 and 3, 1 between symmetric 3 and 2
select 1 isnull, 2 notnull, true is unknown, null is null
select * from pg_class as c(a,b,c)
select * from pg_class c(a,b) where a = 1
select * from (pg_class c cross join pg_type t) as j(x,y)
select * from pg_class c join pg_type t using (oid) as j where j.oid=1
select c.oid, t.oid, j from pg_class c join pg_type t using (oid) as j
select * from pg_class c left join (pg_type t join pg_namespace n on t.typnamespace=n.oid) on c.reltype=t.oid where n.nspname='x'
select * from pg_class c right join pg_type t on true left join pg_namespace n on n.oid=c.oid
select * from pg_class, lateral generate_series(1, relpages) g
select * from pg_class c left join lateral unnest(c.relacl) a on true
select * from pg_class c right join lateral unnest(c.relacl) a on true
select * from pg_options_to_table(array['a=b'])
select * from pg_get_keywords() k where k.catcode='U'
select (pg_get_keywords()).word
select * from pg_show_all_settings() s(a,b,c)
select * from nosuchfunc(1)
select pg_sleep()
select * from abs(1)
select * from abs(1) as x(y)
select * from now(), current_date, current_user
select * from json_each('{"a":1}'), jsonb_array_elements('[1]')
select * from unnest('{1,2}'::int[]) with ordinality
select json_build_object('a', 1), row_to_json(c) from pg_class c
select array_to_string(array[1], ','), string_to_array('a','b'), regexp_replace('a','b','c'), regexp_match('a','b')
select least(1,'2'), greatest(date '2000-01-01', '2001-01-01')
select relname, (array_agg(oid))[1] from pg_class group by relname
select sum(distinct relpages), sum(all relpages), count(distinct (relkind, relname)) from pg_class
select mode() within group (order by relkind), percentile_disc(array[0.1,0.5]) within group (order by relname) from pg_class
select rank(5) within group (order by relpages), dense_rank('x', 1) within group (order by relname, relpages) from pg_class
select percentile_cont(0.5, 1) within group (order by relpages) from pg_class
select percentile_cont(0.5) from pg_class
select count(*) within group (order by 1) from pg_class
select abs(distinct 1)
select abs(1) over ()
select abs(1) filter (where true)
select abs(*) 
select count() from pg_class
select row_number() from pg_class
select row_number() over nosuch from pg_class
select sum(oid::int) over (order by relname groups 1 preceding) from pg_class
select sum(oid::int) over (groups 1 preceding) from pg_class
select sum(oid::int) over (range 1 preceding) from pg_class
select sum(oid::int) over (w rows 1 preceding) from pg_class window w as (partition by relkind)
select sum(oid::int) over (w order by oid) from pg_class window w as (order by relkind)
select sum(oid::int) over (w) from pg_class window w as (rows 1 preceding)
select count(*) from pg_class where row_number() over () = 1
select (select 1 union select 2), array(values (1),(2))
select * from (select * from pg_class order by oid limit 1) x union all (select * from pg_class order by oid limit 2) order by relname
(select 1 as a) union (select 2 limit 1) order by a desc
select 1 intersect all select 1.5 except all select null
select null union select 1
select 'a' union select 1::text collate "C"
with a as materialized (select 1 x), b as not materialized (select * from a) select * from b, a
with x(a,b,c) as (select 1,2) select * from x
with recursive a as (select * from b), b as (select * from a) select 1
with recursive a as (select 1 union all select 1 from a, a b) select 1
with recursive a as (select 1 union all (select 1 from a order by 1)) select 1
with recursive a as (select * from a) select 1
with recursive a(x) as (select 1 union all select x::bigint from a) select * from a
with recursive b as (select * from c), c as (select 1) select * from b
with x as (insert into pg_namespace values (1,'x') returning oid) insert into pg_namespace select oid, 'y' from x
with x as (insert into pg_namespace values (1,'x')) select * from x
select * from (with x as (delete from pg_namespace returning 1) select 1) y
select * from pg_class for update of nosuch
select count(*) from pg_class for update
select distinct 1 from pg_class for share
select * from pg_class c for update of c skip locked for share of c
select * from (select * from pg_class) x for no key update
delete from pg_class c where c.oid = (select max(oid) from pg_class)
delete from pg_class where count(*) > 1
update pg_class set relname = (select 'x'), relpages = relpages + 1 where oid in (1,2)
update pg_class c set c.relname = 'x'
update pg_class set relpages = 'a'
update pg_class set relpages = '5', relhasindex = 'true', relkind = 'r', reltuples=5
update pg_class set relpages = true
update pg_class set oid = default where relname is null returning old.oid, new.oid, old, new.*
insert into pg_class(relname) values ('a') returning with (old as o, new as n) o.oid, n.oid
insert into pg_class(relname) select 'a' || oid from pg_type
insert into pg_class(relname, oid) values ('a', (select 1)), (upper('b'), 2)
insert into pg_class(relacl[1]) values (null)
insert into pg_class select * from pg_class
insert into pg_class select (1,2)
insert into pg_namespace overriding system value values (1)
insert into pg_namespace (oid) values (1),(1,2)
merge into pg_namespace n using (select 1 as a) s on n.oid = s.a when not matched by source then delete when not matched by target then insert values (s.a, 'x') returning merge_action(), n.*
merge into pg_namespace n using (values (1,2)) s(a,b) on n.oid = s.a when matched then do nothing when not matched then insert default values
merge into pg_namespace n using pg_class n on true when matched then delete
merge into pg_namespace using pg_class on true when not matched then insert (oid) values (pg_namespace.oid)
select merge_action()
select cast(null as pg_class), (null::pg_class).relname, row(1,2)::nosuch
select ('a','b')::pg_namespace
select pg_class from pg_class
select relname(pg_class), pg_class.text from pg_class
select name 'x', text 'y', int '5', float8 '1.5', numeric(5,2) '1'
select 1::decimal, 1::real, 1::smallint, '1'::bit(3), b'1'::bit(3), '12:00'::time(3), 'x'::pg_catalog.text, 'y'::"char"
select 'x'::varchar, 'x'::varchar(5)::text, ('x'::varchar(5)) || 'y', 'x'::bpchar = 'y'
select relname || 'x', relname = 'x'::text, relname::text like 'a', upper(relname), length(relname), relname < 'b' from pg_class
select oid = 1, oid::int = 1, oid > 5, oid::text, relpages * 1.5, relpages / 2.0::float8, relpages + relallvisible, relpages::bigint * 2 from pg_class
select typname from pg_type where typname in ('a', 'b') and typlen in (1, 2::smallint, 3) and typname not in ('x')
select 1 in (1, 2.5, '3'), 'a' in ('b', null)
select 1 in ('a')
select * from pg_class where oid in (1, relpages, 3)
select current_setting('x', true), set_config('a','b',false), version(), pg_backend_pid()
select has_schema_privilege(oid, 'create'), pg_catalog.array_to_string(nspacl, E'\n') from pg_namespace
select 'a' like 'b' collate "C", 'a' collate "C" || 'b' collate "POSIX"
select relname collate "C" || relname collate "POSIX" from pg_class
select case relname when 'a' then 1 end, case when relname = 'a' then relname else 'x' end from pg_class
select ('{1,2,3}'::int[])[2:], ('{1,2,3}'::int[])[:2], (array[[1,2]])[1][2], ('{1}'::int[])['1'], ('{1}'::int[])[1.5]
select (1)[1]
select '{"a":1}'::jsonb - 'a', '{}'::jsonb || '{}', jsonb_build_array(1,'a',null), '[1,2]'::json->0, '{"a":1}'::jsonb #>> '{a}'
select 1 as "A", 2 as b, 3 c, count from (select 1 as count) x
select relname as "x y" from pg_class order by "x y"
select relname r, oid r from pg_class order by r
select oid+1 as x from pg_class order by x+1
select * from pg_class order by 50
select * from pg_class group by 1
select 'a' as b group by b
select 1 group by 1.5
select relname from pg_class group by count(*)
select relname from pg_class limit count(*)
select distinct on (1) relname from pg_class order by oid
select distinct on (relname, oid) relname from pg_class order by oid, relname, relkind
select json '{}' = json '{}'
select distinct '{}'::json
select '{}'::json order by 1
select xid '1' < xid '2'
select 5 between '1' and '10'
select a.b.c.d.e.f
select pg_catalog.pg_class.relname from pg_catalog.pg_class
select nosuchdb.pg_catalog.pg_class.relname from pg_catalog.pg_class
select pg_catalog.nosuch(1), nosuch.abs(1)
select nosuch.abs(1)
select 1 operator(pg_catalog.+) 2
select 1 operator(nosuch.+) 2
select 1 @@@ 2
select 'abc'::nosuch.type
select 'x'::int4(5)
select 'x'::varchar(0)
select 'x'::numeric(2000)
select 'x'::timestamp(7)
