-- entry_pages: where visits begin
SELECT
    day,
    entry_page AS key,
    uniqExact(visitor) AS visitors,
    count() AS visits,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM visits
GROUP BY day, key
