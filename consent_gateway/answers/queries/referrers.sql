-- referrers: the referring sites; page views that came straight from there, and visits that began with one
SELECT
    day,
    toString(referrer_host) AS key,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    0 AS visits,
    count() AS page_views,
    0 AS bounces,
    0 AS duration_ms
FROM rows
WHERE type = 'page_view' AND referrer_host != ''
GROUP BY day, key
UNION ALL
SELECT
    day,
    toString(referrer_host) AS key,
    0,
    count(),
    0,
    sum(bounced),
    sum(duration_ms)
FROM visits
WHERE referrer_host != ''
GROUP BY day, key
