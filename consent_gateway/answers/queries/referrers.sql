-- referrers: the referring sites, without the visits that typed the address or stayed inside
SELECT
    referrer_host AS referrer,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM events
WHERE site = {site:String}
    AND at >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND at < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND type = 'page_view'
    AND bot <= {bots:UInt8}
    AND referrer_host != ''
GROUP BY referrer
ORDER BY page_views DESC, referrer
LIMIT {limit:UInt32}
