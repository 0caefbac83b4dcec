-- errors: pages that the site answered with an error, by status
SELECT
    day,
    path AS key,
    toString(http_status) AS key2,
    uniqExactIf(visitor, visitor != 0) AS visitors,
    count() AS page_errors
FROM rows
WHERE type = 'page_error'
GROUP BY day, key, key2
