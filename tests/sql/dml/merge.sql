-- MERGE: all kinds of actions, RETURNING, and in WITH.
create table merge_t (id int primary key, v int, w text);
create table merge_s (id int, delta int);
insert into merge_t values (1,10,'a'),(2,20,'b'),(3,30,'c');
insert into merge_s values (1,5),(4,7),(3,-30);
merge into merge_t t using merge_s s on t.id = s.id when matched and t.v + s.delta = 0 then delete when matched then update set v = t.v + s.delta when not matched then insert values (s.id, s.delta, 'new');
select * from merge_t order by 1;
merge into merge_t t using (values (1,1),(9,9)) s(id,d) on t.id=s.id when matched then update set v=v+d, w='m' when not matched then insert (id,v) values (s.id,s.d) when not matched by source then delete returning merge_action(), t.*, s.*;
select * from merge_t order by 1;
merge into merge_t t using merge_s s on t.id=s.id when matched then do nothing when not matched then do nothing;
insert into merge_s values (1,6);
merge into merge_t t using merge_s s on t.id=s.id when matched then update set v=0;
merge into merge_t t using merge_s s on t.id=s.id when not matched then insert default values;
merge into merge_t using merge_s on merge_t.id = merge_s.id when not matched by source and merge_t.v > 5 then update set w = 'gone' returning old.w, new.w, merge_action();
with m as (merge into merge_t t using (values (100)) s(id) on t.id=s.id when not matched then insert values (s.id, 1, 'cte') returning t.id, merge_action()) select * from m;
merge into merge_t t using merge_s s on false when not matched and s.id = 4 then insert (id, v, w) overriding user value values (s.id, s.delta, 'x');
select * from merge_t order by 1;
