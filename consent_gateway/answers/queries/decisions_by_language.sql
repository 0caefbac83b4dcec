-- decisions_by_language: the same by the language of the notice that was shown
SELECT
    day,
    toString(language) AS key,
    countIf(action IN ('accept_all', 'reject_all', 'save')) AS answered,
    countIf(action = 'accept_all') AS all_accepted,
    countIf(action = 'reject_all') AS all_refused,
    countIf(action = 'save') AS chosen,
    countIf(status = 'withdrawn' AND supersedes != '') AS withdrawals,
    countIf(action = 'object') AS objections_made,
    countIf(status = 'given' AND action IN ('accept_all', 'save')) AS granted
FROM records
GROUP BY day, key
