-- events: the events of the site's own
SELECT day, toString(name) AS key, uniqExactIf(visitor, visitor != 0) AS visitors, count() AS events
FROM rows
WHERE type = 'custom'
GROUP BY day, key
