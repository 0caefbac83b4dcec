-- pages: the pages read most
SELECT
    path AS path,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM events
WHERE site = {site:String}
    AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND type = 'page_view'
    AND bot <= {bots:UInt8}
GROUP BY path
ORDER BY page_views DESC, path
LIMIT {limit:UInt32}
