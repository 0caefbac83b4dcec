-- goals: who reached which goal
SELECT
    goal,
    uniqExactIf((day, visitor), visitor != 0) AS visitors,
    count() AS events,
    visitors / nullIf((SELECT uniqExactIf((day, visitor), visitor != 0) FROM rows WHERE type = 'page_view'), 0)
FROM (
    SELECT
        day,
        visitor,
        arrayFilter(
            (step, kind, value) -> if(
                kind = 'event',
                type = 'custom' AND name = value,
                type = 'page_view' AND if(kind = 'start', startsWith(path, value), path = value)
            ),
            {steps:Array(String)}, {kinds:Array(String)}, {values:Array(String)}
        ) AS reached,
        arrayJoin(if(empty({steps:Array(String)}), if(type = 'custom', [toString(name)], []), reached)) AS goal
    FROM rows
)
GROUP BY goal
ORDER BY visitors DESC, goal
LIMIT {limit:UInt32}
