-- countries: where the networks are registered; empty where that is not known
SELECT
    country AS country,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM events
WHERE site = {site:String}
    AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND type = 'page_view'
    AND bot <= {bots:UInt8}
GROUP BY country
ORDER BY page_views DESC, country
LIMIT {limit:UInt32}
