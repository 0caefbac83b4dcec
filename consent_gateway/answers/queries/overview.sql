-- overview: page views and exact visitors of each day in the owner's time zone; a pseudonym lives one day, so days add up
SELECT
    toString(toDate(at, {zone:String})) AS day,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM events
WHERE site = {site:String}
    AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND type = 'page_view'
    AND bot <= {bots:UInt8}
GROUP BY day
ORDER BY day
LIMIT {limit:UInt32}
