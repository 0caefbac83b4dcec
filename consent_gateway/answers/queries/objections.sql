-- objections: page views after an objection, kept under consent alone
SELECT day, period AS key, count() AS page_views, countIf(NOT has(purposes, 'measurement')) AS objected
FROM rows
WHERE type = 'page_view'
GROUP BY day, key
