-- timings: how long pages took to load in the browser; of each view what was told last, of all values, without a sketch
SELECT timing, samples, times[1], times[2], times[3], times[4]
FROM (
    SELECT
        toString(measured.1) AS timing,
        count() AS samples,
        quantilesExact(0.5, 0.75, 0.95, 0.99)(toFloat64(measured.2)) AS times
    FROM (
        SELECT arrayJoin(argMax(timings, engaged_ms)::Array(Tuple(String, Float32))) AS measured
        FROM rows
        WHERE length(timings) > 0
        GROUP BY visitor, view_id
    )
    GROUP BY timing
)
ORDER BY samples DESC, timing
LIMIT {limit:UInt32}
