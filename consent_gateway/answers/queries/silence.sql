-- silence: page views that the server saw, and of which the script told nothing
SELECT
    day,
    toString(browser) AS key,
    count() AS page_views,
    countIf(view_id NOT IN (SELECT view_id FROM rows WHERE type = 'engagement')) AS silent
FROM rows
WHERE type = 'page_view' AND http_status != 0
GROUP BY day, key
