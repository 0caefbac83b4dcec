-- cities: the cities of those who consented: kept shorter than the rest, so never closed
SELECT
    day,
    toString(country) AS key,
    toString(city) AS key2,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM rows
WHERE type = 'page_view' AND city != ''
GROUP BY day, key, key2
