-- choices: how those who were asked chose; what counts is how they stood with their last sign of the day
SELECT
    day,
    key,
    countIf(was_asked) AS asked,
    countIf(was_asked AND last = 'given') AS accepted,
    countIf(was_asked AND last IN ('refused', 'withdrawn')) AS refused,
    countIf(was_asked AND last IN ('unknown', 'expired', 'invalidated')) AS ignored,
    countIf(has_withdrawn) AS withdrew
FROM (
    SELECT
        day,
        argMinIf(period, (at, view_id), type = 'page_view') AS key,
        countIf(type = 'page_view' AND consent IN ('unknown', 'expired', 'invalidated')) > 0 AS was_asked,
        argMax(consent, (at, view_id, type)) AS last,
        countIf(consent = 'given') > 0 AND countIf(consent = 'withdrawn') > 0
            AND minIf(at, consent = 'given') < maxIf(at, consent = 'withdrawn') AS has_withdrawn
    FROM rows
    WHERE visitor != 0
    GROUP BY day, visitor
    HAVING countIf(type = 'page_view') > 0
)
GROUP BY day, key
