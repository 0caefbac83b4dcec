-- programs: programs that say so, by name
SELECT day, toString(browser) AS key, count() AS page_views
FROM rows
WHERE type = 'page_view'
GROUP BY day, key
