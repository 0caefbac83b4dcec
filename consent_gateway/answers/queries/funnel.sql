-- funnel: the steps within a day, each after the one before and as early as it can be
SELECT
    number,
    {steps:Array(String)}[number] AS step,
    countIf(times[number] > 0) AS visitors,
    visitors / nullIf(countIf(times[1] > 0), 0),
    if(number = 1, NULL, visitors / nullIf(countIf(times[number - 1] > 0), 0)),
    if(
        number = 1 OR visitors = 0,
        NULL,
        quantileExactIf(0.5)(times[number] - times[number - 1], number > 1 AND times[number] > 0)
    )
FROM (
    SELECT
        [time1, time2, time3, time4, time5, time6, time7, time8] AS times,
        arrayJoin(arrayEnumerate({steps:Array(String)})) AS number
    FROM (SELECT *, if(time7 = 0, 0, arrayFirst(hit -> hit.1 > time7 AND hit.2[8] = 1, hits).1) AS time8
    FROM (SELECT *, if(time6 = 0, 0, arrayFirst(hit -> hit.1 > time6 AND hit.2[7] = 1, hits).1) AS time7
    FROM (SELECT *, if(time5 = 0, 0, arrayFirst(hit -> hit.1 > time5 AND hit.2[6] = 1, hits).1) AS time6
    FROM (SELECT *, if(time4 = 0, 0, arrayFirst(hit -> hit.1 > time4 AND hit.2[5] = 1, hits).1) AS time5
    FROM (SELECT *, if(time3 = 0, 0, arrayFirst(hit -> hit.1 > time3 AND hit.2[4] = 1, hits).1) AS time4
    FROM (SELECT *, if(time2 = 0, 0, arrayFirst(hit -> hit.1 > time2 AND hit.2[3] = 1, hits).1) AS time3
    FROM (SELECT *, if(time1 = 0, 0, arrayFirst(hit -> hit.1 > time1 AND hit.2[2] = 1, hits).1) AS time2
    FROM (SELECT *, arrayFirst(hit -> hit.2[1] = 1, hits).1 AS time1
    FROM (
        SELECT arraySort(groupArray((toUnixTimestamp64Milli(at), reached))) AS hits
        FROM (
            SELECT
                day,
                visitor,
                at,
                arrayMap(
                    (kind, value) -> toUInt8(if(
                        kind = 'event',
                        type = 'custom' AND name = value,
                        type = 'page_view' AND if(kind = 'start', startsWith(path, value), path = value)
                    )),
                    {kinds:Array(String)}, {values:Array(String)}
                ) AS reached
            FROM rows
            WHERE visitor != 0 AND type IN ('page_view', 'custom')
        )
        WHERE has(reached, 1)
        GROUP BY day, visitor
    )))))))))
)
GROUP BY number
ORDER BY number
