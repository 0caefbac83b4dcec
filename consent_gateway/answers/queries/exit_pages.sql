-- exit_pages: where visits end, and how often each page was seen in visits
SELECT day, exit_page AS key, uniqExact(visitor) AS visitors, count() AS exits, 0 AS visit_views
FROM visits
GROUP BY day, key
UNION ALL
SELECT day, arrayJoin(paths) AS key, 0, 0, count()
FROM visits
GROUP BY day, key
