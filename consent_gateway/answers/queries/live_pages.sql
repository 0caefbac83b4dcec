-- live_pages: the pages of the last half hour
SELECT day, path AS key, uniqExactIf(visitor, visitor != 0) AS visitors, count() AS page_views
FROM rows
WHERE type = 'page_view'
GROUP BY day, key
