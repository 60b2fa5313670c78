-- json, jsonb and arrays.
SELECT '{"a": [1, 2, {"b": null}], "c": "x"}'::json, '{"c": "x", "a": [1, 2, {"b": null}], "a": 1}'::jsonb;
SELECT j -> 'a', j ->> 'c', j -> 'a' -> 1, j #> '{a,2,b}', j #>> '{a,0}', j -> 'nothere', j -> 'a' -> -1 FROM (VALUES ('{"a": [1, 2, {"b": null}], "c": "x"}'::jsonb)) v(j);
SELECT '{"a":1,"b":2}'::jsonb @> '{"a":1}', '{"a":1}'::jsonb <@ '{"a":1,"b":2}', '{"a":1}'::jsonb ? 'a', '["x"]'::jsonb ?| ARRAY['x', 'y'], '{"a":1}'::jsonb ?& ARRAY['a', 'b'];
SELECT '{"a":1}'::jsonb || '{"b":2}', '[1,2]'::jsonb || '3', '{"a":1,"b":2}'::jsonb - 'a', '[1,2,3]'::jsonb - 1, '{"a":{"b":1}}'::jsonb #- '{a,b}';
SELECT jsonb_set('{"a":1}', '{b}', '2'), jsonb_insert('[1,2]', '{1}', '9'), jsonb_strip_nulls('{"a":null,"b":1}'), jsonb_typeof('[]'), jsonb_array_length('[1,2]'), jsonb_pretty('{"a":[1]}');
-- differs: tag: '' != 'SELECT 1'; sqlstate: 'XX000' != ''; message: "AttributeError: 'String' object has no attribute 'translate'" != ''; columns: () != (('to_json', 114, 
SELECT to_json('a"b'::text), to_jsonb(ARRAY[1, 2]), row_to_json(ROW(1, 'x')), json_build_object('a', 1, 'b', NULL), json_build_array(1, 'x', true), jsonb_build_object('k', ARRAY[1]);
SELECT * FROM json_each('{"a":1,"b":"x"}');
SELECT * FROM jsonb_each_text('{"a":1,"b":null}');
SELECT * FROM jsonb_array_elements('[1,"a",null]');
SELECT * FROM json_array_elements_text('[1,"a",null]');
SELECT * FROM jsonb_object_keys('{"b":1,"a":2}');
-- missing: could not determine row type for result of jsonb_to_record
SELECT * FROM jsonb_to_record('{"a":1,"b":"x"}') AS r(a int, b text);
SELECT * FROM json_to_recordset('[{"a":1},{"a":2,"b":"y"}]') AS r(a int, b text);
SELECT jsonb_path_query('{"a":[1,2,3]}', '$.a[*] ? (@ > 1)'), jsonb_path_exists('{"a":1}', '$.a'), '{"a":1}'::jsonb @@ '$.a == 1';
SELECT '{bad'::json;
SELECT '{"a":}'::jsonb;
SELECT ('{"a":[1]}'::jsonb)['a'][0], 'null'::jsonb IS NULL, '1'::jsonb::int, '"x"'::jsonb::text, 'true'::jsonb::bool;
SELECT ARRAY[1, 2, 3], '{1,NULL,3}'::int[], '{{1,2},{3,4}}'::int[], ARRAY['a b', 'c"d', '', NULL, 'null'], '{}'::text[];
SELECT (ARRAY[1, 2, 3])[2], (ARRAY[1, 2, 3])[2:3], (ARRAY[1, 2, 3])[9], ('{{1,2},{3,4}}'::int[])[2][1], ('[0:2]={5,6,7}'::int[])[0];
SELECT ARRAY[1, 2] || 3, 0 || ARRAY[1], ARRAY[1] || ARRAY[2, 3], array_append(ARRAY[1], NULL), array_prepend(0, ARRAY[1]), array_cat(ARRAY[1], ARRAY[2]);
SELECT array_length(ARRAY[1, 2], 1), cardinality('{{1,2},{3,4}}'::int[]), array_ndims('{{1}}'::int[]), array_dims('[2:3]={1,2}'::int[]), array_upper(ARRAY[1, 2], 1), array_lower('{}'::int[], 1);
SELECT ARRAY[1, 2] = ARRAY[1, 2], ARRAY[1, 2] < ARRAY[1, 3], ARRAY[1, 2] @> ARRAY[2], ARRAY[1] <@ ARRAY[1, 2], ARRAY[1] && ARRAY[2], 2 = ANY (ARRAY[1, 2]), 2 > ALL (ARRAY[1, NULL]);
SELECT array_position(ARRAY['a', 'b'], 'b'), array_positions(ARRAY[1, 2, 1], 1), array_remove(ARRAY[1, 2, 1], 1), array_replace(ARRAY[1, 2], 1, 9), array_fill(0, ARRAY[2, 2]), trim_array(ARRAY[1, 2, 3], 2), array_sort(ARRAY[3, 1, 2]);
SELECT unnest(ARRAY[1, 2]), unnest(ARRAY['x', 'y', 'z']);
SELECT array_agg(i) FROM generate_series(1, 3) i;
SELECT '{1,2'::int[];
SELECT ARRAY[1, 'x'];
SELECT ARRAY[]::int[], ARRAY[ARRAY[1], ARRAY[2, 3]];
CREATE TABLE t (a int[], j jsonb);
INSERT INTO t VALUES ('{1,2,3}', '{"k": 1}'), (NULL, '[1]');
UPDATE t SET a[2] = 20, j['n'] = '5' WHERE a IS NOT NULL;
UPDATE t SET a[5] = 5 WHERE a IS NOT NULL;
SELECT * FROM t ORDER BY a;
SELECT a[1], j ->> 'k' FROM t WHERE j @> '{"k": 1}';
SELECT 1 = ANY ('{1,2}'), generate_subscripts('{5,6}'::int[], 1);
SELECT array_to_json(ARRAY[[1, 2], [3, 4]]), json_typeof('1'), json_strip_nulls('{"a":null}'), jsonb '{"b":1,"aa":2}' = jsonb '{"aa":2,"b":1}', jsonb '[1]' < jsonb '[1,2]';
