-- channels: the kinds of ways that led here; a visit that goes on after a pause is internal
SELECT
    day,
    toString(channel) AS key,
    uniqExact(visitor) AS visitors,
    count() AS visits,
    sum(visit_views) AS page_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM visits
GROUP BY day, key
