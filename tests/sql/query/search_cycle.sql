-- SEARCH and CYCLE of recursive queries.
create table node (id int, parent int);
insert into node values (1,null),(2,1),(3,1),(4,2),(5,2),(6,3);
with recursive t(id, parent) as (select id, parent from node where parent is null union all select n.id, n.parent from node n join t on n.parent = t.id) search depth first by id set ord select * from t order by ord;
with recursive t(id, parent) as (select id, parent from node where parent is null union all select n.id, n.parent from node n join t on n.parent = t.id) search breadth first by id set ord select * from t order by ord;
create table edge (f int, t int);
insert into edge values (1,2),(2,3),(3,1),(1,4),(4,4);
with recursive g(f,t) as (select f,t from edge where f=1 union all select e.f,e.t from edge e join g on g.t = e.f) cycle f,t set is_cycle using path select * from g order by path;
with recursive g(f,t) as (select f,t from edge where f=1 union select e.f,e.t from edge e join g on g.t = e.f) cycle f set is_cycle to 'Y' default 'N' using path select * from g order by path;
with recursive g(f,t) as (select f,t from edge where f=1 union all select e.f,e.t from edge e join g on g.t = e.f) search depth first by f,t set seq cycle f,t set is_cycle using path select * from g order by seq;
with recursive g(f,t) as (select f,t from edge where f=1 union all select e.f,e.t from edge e join g on g.t = e.f) cycle nope set is_cycle using path select * from g order by path;
with recursive g(f,t) as (select f,t from edge where f=1 union all select e.f,e.t from edge e join g on g.t = e.f) search depth first by nope set ord select * from g;
create view vs as with recursive t(id, parent) as (select id, parent from node where parent is null union all select n.id, n.parent from node n join t on n.parent = t.id) search depth first by id set ord select * from t order by ord;
select * from vs;
select pg_get_viewdef('vs'::regclass);
