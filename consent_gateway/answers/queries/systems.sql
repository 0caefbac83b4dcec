-- systems: the operating systems
SELECT
    day,
    toString(os) AS key,
    uniqExactIf(visitor, visitor != 0 AND views > 0) AS visitors,
    sum(visits) AS visits,
    sum(views) AS page_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM traffic
GROUP BY day, key
