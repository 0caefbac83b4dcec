-- choices: how those who were asked chose; what counts is how they stood last that day
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
        argMin(period, (at, view_id)) AS key,
        countIf(consent IN ('unknown', 'expired', 'invalidated')) > 0 AS was_asked,
        argMax(consent, (at, view_id)) AS last,
        countIf(consent = 'withdrawn') > 0 AS has_withdrawn
    FROM rows
    WHERE type = 'page_view' AND visitor != 0
    GROUP BY day, visitor
)
GROUP BY day, key
