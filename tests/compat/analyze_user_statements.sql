insert into a(id,b) values (1,'x') on conflict (id) do update set b = excluded.b || a.b, c = default where a.id > 5 returning *, excluded.id
insert into a(id,b) values (1,'x') on conflict (id) do update set b = excluded.b || a.b, c = default where a.id > 5 returning *
insert into a(id,b) values (1,'x') on conflict on constraint a_pkey do nothing
insert into a(id,b) values (1,'x') on conflict (lower(b), c) where id>5 do nothing
insert into a(id,b) values (1,'x') on conflict do update set b='x'
insert into a(id,b) values (1,'x') on conflict on constraint nosuch do nothing
insert into a values (1,'x',2,now(),default),(2,default,3,default,default)
insert into a(id, b, c) select id, v, 5 from f
insert into f(x[1], x[2], v) values (1,2,'abc'), (3,4,'d')
insert into f(v) values ('abcdefgh')
update f set x[1] = 5, x[2:3] = '{1,2}', j = '{}', v = 'abc'::text
update f set j['a']['b'] = '1', a_id = a.id from a where a.id = f.a_id
update a set b = 5
update a set c = '5', d = '2020-01-01', id = id + 1 where b = 'x' returning a, old.b, id*2
update a x set b = y.v from f y where x.id=y.a_id
delete from a using f where a.id = f.a_id and f.v = $1
select * from a where b = $1 and c > $2 and d between $3 and $4
select a.id, count(f.id) from a left join f on f.a_id = a.id group by a.id
select a.b, a.c, count(*) from a group by a.id
select id, b from a group by id having max(c) > 1
select f.v, a.b from f join a on a.id=f.a_id group by f.v
select v || 'x', v = 'abc', v like 'a%', j->>'a', x[1] + 1, x || 5, 5 = any(x), v::varchar(3), b::varchar(3) from f join a on true
select * from v1, v4 where v1.id = v4.m
select fn(), fn(1), fn(x => 2), fn(1, 'a', 'b'), fn(1, variadic array['a'])
select fb(1), fb('1'), fb(1.5)
select * from fc(1), fn(2) as q
select (fc(1)).*, (fc(2)).p
call fb(1)
select 5::dm, '5'::dm, 5::dm + 1, null::dm
select a from a, f f2 where a = a and f2.j @> '{}'
select (a).id, a.*::a from a
select row(a.*) from a
select * from a for update of a
select count(*) over (partition by b order by c desc nulls last range between unbounded preceding and current row) from a
select sum(c) over (order by d range between '1 day' preceding and '1 day' following) from a
with upd as (update a set b='q' returning *) select * from upd join f on f.a_id=upd.id
merge into a using f on a.id=f.a_id when matched then update set b = f.v when not matched then insert (id,b) values (f.id, f.v) returning merge_action(), a.*
select id as x, x from f order by x
select case when id > 1 then b end, coalesce(b, 'q'), nullif(b, 'x'), greatest(c, 1), c::int, round(c), c * 1.0::float8 from a
select * from a natural join f
select * from a join f using (id, b)
select b from a union select v from f order by b
select c from a union all select id from f
select d - d, d + interval '1 day', d > now(), d::date = '2020-01-01', extract(dow from d) from a
