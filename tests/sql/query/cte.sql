-- WITH: plain, recursive, materialized, data-modifying.
CREATE TABLE node (id int, parent int, name text);
INSERT INTO node VALUES (1, NULL, 'root'), (2, 1, 'left'), (3, 1, 'right'), (4, 2, 'leaf'), (5, 4, 'deep');
WITH q AS (SELECT 1 AS x) SELECT * FROM q;
WITH q(a, b) AS (VALUES (1, 2), (3, 4)) SELECT a + b FROM q ORDER BY 1;
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b;
WITH q AS MATERIALIZED (SELECT id FROM node) SELECT count(*) FROM q x JOIN q y ON x.id = y.id;
WITH q AS NOT MATERIALIZED (SELECT id FROM node) SELECT count(*) FROM q x JOIN q y ON x.id < y.id;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT sum(i), count(*) FROM n;
WITH RECURSIVE tree AS (SELECT id, name, 0 AS depth FROM node WHERE parent IS NULL UNION ALL SELECT c.id, c.name, depth + 1 FROM node c JOIN tree ON c.parent = tree.id) SELECT * FROM tree ORDER BY depth, id;
WITH RECURSIVE tree(id, path) AS (SELECT id, ARRAY[id] FROM node WHERE parent IS NULL UNION ALL SELECT c.id, path || c.id FROM node c JOIN tree ON c.parent = tree.id) SELECT * FROM tree ORDER BY path;
WITH RECURSIVE u(i) AS (SELECT 1 UNION SELECT (i + 1) % 5 FROM u) SELECT * FROM u ORDER BY 1;
WITH RECURSIVE f(a, b) AS (SELECT 0::numeric, 1::numeric UNION ALL SELECT b, a + b FROM f WHERE b < 1e20) SELECT max(a) FROM f;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 5;
-- missing: SEARCH is not supported yet
WITH RECURSIVE t(id, p) AS (SELECT id, parent FROM node WHERE id = 1 UNION ALL SELECT c.id, c.parent FROM node c, t WHERE c.parent = t.id) SEARCH DEPTH FIRST BY id SET o SELECT id FROM t ORDER BY o;
WITH ins AS (INSERT INTO node VALUES (6, 3, 'new') RETURNING id, name) SELECT * FROM ins;
WITH del AS (DELETE FROM node WHERE id = 6 RETURNING *) SELECT count(*) FROM del;
WITH up AS (UPDATE node SET name = upper(name) WHERE id > 3 RETURNING id, name) SELECT * FROM up ORDER BY id;
SELECT name FROM node ORDER BY id;
WITH q AS (SELECT 1) SELECT * FROM r;
WITH q AS (SELECT 1), q AS (SELECT 2) SELECT 1;
