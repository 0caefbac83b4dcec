-- referrers: the sites that visits came from, without those that typed the address or stayed inside
SELECT
    day,
    toString(referrer_host) AS key,
    uniqExact(visitor) AS visitors,
    count() AS visits,
    sum(visit_views) AS page_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms
FROM visits
WHERE referrer_host != ''
GROUP BY day, key
