-- routes: the same as pages, by route template
SELECT
    day,
    toString(route) AS key,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views,
    0 AS engaged_ms,
    0 AS engaged_views,
    0 AS scroll_pct
FROM rows
WHERE type = 'page_view' AND route != ''
GROUP BY day, key
UNION ALL
SELECT day, key, 0, 0, sum(engaged), count(), sum(scrolled)
FROM (
    SELECT day, toString(route) AS key, max(engaged_ms) AS engaged, max(scroll_pct) AS scrolled
    FROM rows
    WHERE type = 'engagement' AND route != ''
    GROUP BY day, key, visitor, view_id
)
GROUP BY day, key
