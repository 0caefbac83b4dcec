-- browsers: the browsers' families
SELECT
    day,
    toString(browser) AS key,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    0 AS visits,
    count() AS page_views,
    0 AS bounces,
    0 AS duration_ms
FROM rows
WHERE type = 'page_view'
GROUP BY day, key
UNION ALL
SELECT
    day,
    toString(browser) AS key,
    0,
    count(),
    0,
    sum(bounced),
    sum(duration_ms)
FROM visits
GROUP BY day, key
