-- overview: the main figures; a pseudonym lives one day, so its days add up exactly
SELECT
    day,
    period AS key,
    uniqExactIf(visitor, visitor != 0 AND views > 0) AS visitors,
    sum(visits) AS visits,
    sum(views) AS page_views,
    sum(visit_views) AS visit_views,
    sum(bounced) AS bounces,
    sum(duration_ms) AS duration_ms,
    sum(engaged_ms) AS engaged_ms,
    sum(told) AS engaged_views
FROM traffic
GROUP BY day, key
