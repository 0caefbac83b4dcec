-- hours: the hours of the week: the day from 1 (Monday), and the hour
SELECT
    day,
    toString(toDayOfWeek(day)) AS key,
    formatDateTime(at, '%H', {zone:String}) AS key2,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_views
FROM rows
WHERE type = 'page_view'
GROUP BY day, key, key2
