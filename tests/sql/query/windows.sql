-- Window functions, frames and named windows.
CREATE TABLE e (dept text, name text, pay int);
INSERT INTO e VALUES ('dev', 'ann', 5200), ('dev', 'bob', 4200), ('dev', 'cyd', 6000), ('dev', 'dan', 5200), ('hr', 'eve', 3900),
    ('hr', 'fay', 3500), ('ops', 'gus', 4800), ('ops', 'hal', NULL);
SELECT name, row_number() OVER (ORDER BY name) FROM e ORDER BY name;
SELECT dept, name, rank() OVER w, dense_rank() OVER w, percent_rank() OVER w, cume_dist() OVER w FROM e WINDOW w AS (PARTITION BY dept ORDER BY pay) ORDER BY dept, name;
SELECT name, ntile(3) OVER (ORDER BY name) FROM e ORDER BY name;
SELECT name, lag(pay) OVER w, lead(pay, 2, -1) OVER w, first_value(name) OVER w, last_value(name) OVER w, nth_value(name, 2) OVER w FROM e WINDOW w AS (PARTITION BY dept ORDER BY name) ORDER BY name;
SELECT name, sum(pay) OVER (), avg(pay) OVER (PARTITION BY dept), count(*) OVER (PARTITION BY dept ORDER BY pay) FROM e ORDER BY name;
SELECT name, sum(pay) OVER (ORDER BY name ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM e ORDER BY name;
SELECT name, sum(pay) OVER (ORDER BY name ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM e ORDER BY name;
SELECT name, sum(pay) OVER (ORDER BY name ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM e ORDER BY name;
SELECT name, count(*) OVER (ORDER BY pay RANGE BETWEEN 500 PRECEDING AND 500 FOLLOWING) FROM e ORDER BY name;
SELECT name, count(*) OVER (ORDER BY pay GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM e ORDER BY name;
SELECT name, sum(pay) OVER (ORDER BY pay ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) FROM e ORDER BY name;
SELECT dept, sum(sum(pay)) OVER (ORDER BY dept) FROM e GROUP BY dept ORDER BY dept;
SELECT * FROM (SELECT name, rank() OVER (PARTITION BY dept ORDER BY pay DESC) AS r FROM e WHERE pay IS NOT NULL) q WHERE r = 1 ORDER BY name;
SELECT name, row_number() OVER (PARTITION BY dept ORDER BY pay DESC NULLS LAST, name) FROM e ORDER BY dept, 2;
SELECT count(*) FILTER (WHERE pay > 4500) OVER (PARTITION BY dept), name FROM e ORDER BY name;
SELECT sum(i) OVER (ORDER BY i ROWS 2 PRECEDING) FROM generate_series(1, 6) i ORDER BY 1;
SELECT row_number() OVER () FROM e WHERE row_number() OVER () = 1;
SELECT rank() FROM e;
SELECT ntile(0) OVER () FROM e;
