-- paths: which page follows which in a visit
SELECT day, step.1 AS key, step.2 AS key2, uniqExact(visitor) AS visitors, count() AS transitions
FROM (SELECT day, visitor, arrayJoin(arrayZip(arrayPopBack(paths), arrayPopFront(paths))) AS step FROM visits)
GROUP BY day, key, key2
