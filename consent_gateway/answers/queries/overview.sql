-- overview: the main figures; a pseudonym lives one day, so its days add up exactly
SELECT
    day,
    period AS key,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    0 AS visits,
    count() AS page_views,
    0 AS visit_views,
    0 AS bounces,
    0 AS duration_ms,
    0 AS engaged_ms,
    0 AS engaged_views
FROM rows
WHERE type = 'page_view'
GROUP BY day, key
UNION ALL
SELECT day, period AS key, 0, count(), 0, sum(visit_views), sum(bounced), sum(duration_ms), 0, 0
FROM visits
GROUP BY day, key
UNION ALL
SELECT day, key, 0, 0, 0, 0, 0, 0, sum(engaged), count()
FROM (
    SELECT day, min(period) AS key, max(engaged_ms) AS engaged
    FROM rows
    WHERE type = 'engagement'
    GROUP BY day, visitor, view_id
)
GROUP BY day, key
