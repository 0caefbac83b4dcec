-- live: the last 5 and 30 minutes
SELECT *
FROM (
    SELECT
        5 AS minutes,
        uniqExactIf((day, visitor), type = 'page_view' AND visitor != 0),
        countIf(type = 'page_view'),
        countIf(type = 'custom')
    FROM rows
    WHERE at >= fromUnixTimestamp64Milli({now:Int64} - 300000, 'UTC')
    UNION ALL
    SELECT
        30,
        uniqExactIf((day, visitor), type = 'page_view' AND visitor != 0),
        countIf(type = 'page_view'),
        countIf(type = 'custom')
    FROM rows
)
ORDER BY minutes
