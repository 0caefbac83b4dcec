-- decisions_by_purpose: of the choices on record, how many granted each purpose that anybody granted, by language
SELECT
    day,
    toString(purpose) AS key,
    toString(language) AS key2,
    count() AS answered,
    countIf(has(records.granted, purpose)) AS granted
FROM records
ARRAY JOIN (SELECT groupUniqArrayArray(granted) FROM records) AS purpose
WHERE action IN ('accept_all', 'reject_all', 'save')
GROUP BY day, key, key2
