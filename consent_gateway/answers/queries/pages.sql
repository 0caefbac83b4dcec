-- pages: page views, and how they were used
SELECT
    day,
    toString(path) AS key,
    uniqExactIf(visitor, visitor != 0 AND views > 0) AS visitors,
    sum(views) AS page_views,
    sum(engaged_ms) AS engaged_ms,
    sum(told) AS engaged_views,
    sum(scroll_pct) AS scroll_pct
FROM views
GROUP BY day, key
