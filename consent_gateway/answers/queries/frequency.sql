-- frequency: on how many days persons came
SELECT days, count() AS persons
FROM (SELECT uniqExact(day) AS days FROM rows WHERE type = 'page_view' AND person != 0 GROUP BY person)
GROUP BY days
ORDER BY days
LIMIT {limit:UInt32}
