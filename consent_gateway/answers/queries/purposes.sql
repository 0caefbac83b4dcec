-- purposes: the purposes in force: their share of the daily visitors
SELECT period, purpose, visitors, visitors / everyone
FROM (
    SELECT period, toString(purpose) AS purpose, uniqExact((day, visitor)) AS visitors
    FROM rows
    ARRAY JOIN purposes AS purpose
    WHERE type = 'page_view' AND visitor != 0
    GROUP BY period, purpose
) AS some
INNER JOIN (
    SELECT period, uniqExact((day, visitor)) AS everyone
    FROM rows
    WHERE type = 'page_view' AND visitor != 0
    GROUP BY period
) AS whole USING (period)
ORDER BY period, visitors DESC, purpose
LIMIT {limit:UInt32}
