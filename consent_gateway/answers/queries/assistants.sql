-- assistants: the AI assistants that sent visits
SELECT
    day,
    toString(source) AS key,
    uniqExact(visitor) AS visitors,
    count() AS visits,
    sum(visit_views) AS page_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM visits
WHERE channel = 'ai'
GROUP BY day, key
