-- channels: the kinds of ways that led here
SELECT
    channel AS channel,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM events
WHERE site = {site:String}
    AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND type = 'page_view'
    AND bot <= {bots:UInt8}
GROUP BY channel
ORDER BY page_views DESC, channel
LIMIT {limit:UInt32}
