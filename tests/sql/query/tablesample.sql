-- TABLESAMPLE: the same seed takes the same rows as on a real server.
create table ts (a int);
insert into ts select generate_series(1,10000);
analyze ts;
select count(*) from ts tablesample bernoulli (100);
select count(*) from ts tablesample system (100);
select count(*) from ts tablesample bernoulli (0);
select count(*), sum(a) from ts tablesample bernoulli (10) repeatable (42);
select count(*), sum(a) from ts tablesample system (30) repeatable (7);
select count(*) from ts tablesample bernoulli (101);
select count(*) from ts tablesample bernoulli (null);
select count(*) from ts tablesample bernoulli (10) repeatable (null);
select count(*) from ts tablesample nope (10);
select count(*) from ts as x(b) tablesample bernoulli (10) repeatable (1) where b < 5000;
select count(*) from (select 1) x tablesample bernoulli (10);
explain (costs off) select * from ts tablesample bernoulli (10) repeatable (1) where a < 10;
explain (costs off) select * from ts tablesample system (10);
