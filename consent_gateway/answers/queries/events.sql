-- events: the events of the site's own
SELECT day, toString(name) AS key, uniqExactIf(visitor, visitor != 0) AS visitors, sum(times) AS events
FROM acts
GROUP BY day, key
