-- journeys: the first four pages of visits
SELECT
    day,
    arrayStringConcat(arraySlice(paths, 1, 4), ' → ') AS key,
    uniqExact(visitor) AS visitors,
    count() AS visits
FROM visits
GROUP BY day, key
