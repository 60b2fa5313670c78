-- Enums, domains, composite types.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE p (n text, m mood);
INSERT INTO p VALUES ('a', 'happy'), ('b', 'sad'), ('c', 'ok'), ('d', NULL);
SELECT * FROM p ORDER BY m;
SELECT * FROM p WHERE m > 'sad' ORDER BY m;
INSERT INTO p VALUES ('e', 'angry');
SELECT enum_range(NULL::mood), enum_first(NULL::mood), enum_last(NULL::mood), max(m) FROM p;
ALTER TYPE mood ADD VALUE 'fine' AFTER 'ok';
SELECT enumlabel FROM pg_enum WHERE enumtypid = 'mood'::regtype ORDER BY enumsortorder;
CREATE TYPE mood AS ENUM ();
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN name_t AS varchar(5) NOT NULL DEFAULT 'none';
SELECT 5::posint, (-5)::posint;
SELECT 5::posint + 1;
CREATE TABLE d (a posint, b name_t);
INSERT INTO d VALUES (1, 'x');
INSERT INTO d VALUES (0, 'x');
INSERT INTO d VALUES (1, NULL);
INSERT INTO d (a) VALUES (2);
INSERT INTO d VALUES (1, 'toolong');
-- differs: columns: (('a', 16384, -1), ('b', 16384, -1)) != (('a', 23, -1), ('b', 1043, 9))
SELECT * FROM d ORDER BY a;
CREATE TYPE pair AS (x int, y text);
SELECT ROW(1, 'a')::pair, (ROW(1, 'a')::pair).y;
CREATE TABLE c (p pair, ps pair[]);
INSERT INTO c VALUES (ROW(1, 'one'), ARRAY[ROW(2, 'two')::pair]);
INSERT INTO c VALUES ('(3,"th,ree")', NULL);
SELECT (p).x, (p).y, ps[1].y FROM c ORDER BY 1;
-- differs: tag: '' != 'UPDATE 1'; sqlstate: 'XX000' != ''; message: "KeyError: <class 'int'>" != ''
UPDATE c SET p.x = 9 WHERE (p).x = 3;
-- differs: rows: 2 and 2, first difference ((b'(3,"th,ree")', None), (b'(9,"th,ree")', None))
SELECT * FROM c ORDER BY (p).x;
DROP TYPE mood;
DROP TYPE mood CASCADE;
SELECT * FROM p ORDER BY n;
DROP DOMAIN posint CASCADE;
DROP TYPE nothere;
DROP TYPE IF EXISTS nothere;
CREATE SCHEMA extra_schema_for_types;
CREATE TABLE extra_schema_for_types.t (a int);
DROP SCHEMA extra_schema_for_types;
DROP SCHEMA extra_schema_for_types CASCADE;
