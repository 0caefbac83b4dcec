-- campaigns: campaigns, by name, source and medium
SELECT
    day,
    toString(utm_campaign) AS key,
    toString(utm_source) AS key2,
    toString(utm_medium) AS key3,
    uniqExact(visitor) AS visitors,
    count() AS visits,
    sum(visit_views) AS page_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM visits
WHERE utm_campaign != '' OR utm_source != '' OR utm_medium != ''
GROUP BY day, key, key2, key3
