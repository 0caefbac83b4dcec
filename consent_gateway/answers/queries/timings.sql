-- timings: how long pages took to load in the browser; of all values, without a sketch
SELECT timing, samples, times[1], times[2], times[3], times[4]
FROM (
    SELECT
        toString(measured.1) AS timing,
        count() AS samples,
        quantilesExact(0.5, 0.75, 0.95, 0.99)(toFloat64(measured.2)) AS times
    FROM (SELECT arrayJoin(timings::Array(Tuple(String, Float32))) AS measured FROM rows)
    GROUP BY timing
)
ORDER BY samples DESC, timing
LIMIT {limit:UInt32}
