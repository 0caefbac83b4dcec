-- server_times: how long the site took to answer; of all values, without a sketch
SELECT path, page_views, times[1], times[2], times[3], times[4]
FROM (
    SELECT path, count() AS page_views, quantilesExact(0.5, 0.75, 0.95, 0.99)(toFloat64(server_ms)) AS times
    FROM rows
    WHERE type = 'page_view' AND http_status != 0
    GROUP BY path
)
ORDER BY page_views DESC, path
LIMIT {limit:UInt32}
