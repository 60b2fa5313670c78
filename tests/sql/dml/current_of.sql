-- UPDATE of the row a cursor stands on.
CREATE TABLE t (a int, b text);
INSERT INTO t VALUES (1, 'x'), (2, 'y');
BEGIN;
DECLARE w CURSOR FOR SELECT a FROM t WHERE a = 2;
FETCH w;
-- missing: WHERE CURRENT OF is not supported yet
UPDATE t SET b = 'current' WHERE CURRENT OF w;
ROLLBACK;
