-- PREPARE, EXECUTE, DEALLOCATE and cursors.
CREATE TABLE t (a int, b text);
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 10) i;
PREPARE p AS SELECT b FROM t WHERE a = $1;
EXECUTE p(3);
EXECUTE p('4');
EXECUTE p;
EXECUTE p(1, 2);
EXECUTE nothere;
PREPARE p AS SELECT 1;
PREPARE q(int, text) AS INSERT INTO t VALUES ($1, $2) RETURNING *;
EXECUTE q(11, 'x');
PREPARE r AS UPDATE t SET b = $2 WHERE a = $1;
EXECUTE r(11, 'y');
DEALLOCATE p;
EXECUTE p(3);
DEALLOCATE ALL;
BEGIN;
DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a;
FETCH c;
FETCH 3 FROM c;
FETCH NEXT FROM c;
MOVE 2 FROM c;
FETCH ALL FROM c;
FETCH c;
CLOSE c;
FETCH c;
ROLLBACK;
BEGIN;
DECLARE s SCROLL CURSOR FOR SELECT a FROM t ORDER BY a;
FETCH LAST FROM s;
FETCH PRIOR FROM s;
FETCH FIRST FROM s;
FETCH ABSOLUTE 5 FROM s;
FETCH RELATIVE -2 FROM s;
FETCH BACKWARD 2 FROM s;
FETCH FORWARD ALL FROM s;
-- differs: tag: 'ROLLBACK' != 'COMMIT'
COMMIT;
DECLARE x CURSOR FOR SELECT 1;
BEGIN;
DECLARE h CURSOR WITH HOLD FOR SELECT a FROM t WHERE a < 4 ORDER BY a;
FETCH h;
COMMIT;
FETCH ALL FROM h;
-- differs: tag: '' != 'CLOSE CURSOR'; sqlstate: 'XX000' != ''; message: 'RuntimeError: relation t closed too often' != ''
CLOSE h;
BEGIN;
DECLARE n NO SCROLL CURSOR FOR SELECT a FROM t ORDER BY a;
FETCH n;
FETCH BACKWARD 1 FROM n;
ROLLBACK;
BEGIN;
DECLARE w CURSOR FOR SELECT a FROM t WHERE a = 2;
FETCH w;
-- missing: WHERE CURRENT OF is not supported yet
UPDATE t SET b = 'current' WHERE CURRENT OF w;
-- differs: tag: '' != 'CLOSE CURSOR ALL'; sqlstate: '25P02' != ''; message: 'current transaction is aborted, commands ignored until end of transaction block' != ''
CLOSE ALL;
COMMIT;
-- differs: rows: 1 and 1, first difference ((b'v2',), (b'current',))
SELECT b FROM t WHERE a = 2;
