-- properties: their properties
SELECT
    day,
    toString(name) AS key,
    toString(property.1) AS key2,
    property.2 AS key3,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS events
FROM (SELECT day, name, visitor, arrayJoin(props::Array(Tuple(String, String))) AS property FROM rows WHERE type = 'custom')
GROUP BY day, key, key2, key3
