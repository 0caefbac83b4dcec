-- returning: persons by the week in which they came first, and how many weeks later they were seen
SELECT
    toString(first) AS week,
    toUInt32(intDiv(seen - first, 7)) AS weeks,
    count() AS persons,
    persons / max(persons) OVER (PARTITION BY first)
FROM (
    SELECT person, arrayJoin(seen_in) AS seen, arrayMin(seen_in) AS first
    FROM (
        SELECT person, groupUniqArray(toMonday(day)) AS seen_in
        FROM rows
        WHERE type = 'page_view' AND person != 0
        GROUP BY person
    )
)
GROUP BY first, seen
ORDER BY first, weeks
LIMIT {limit:UInt32}
