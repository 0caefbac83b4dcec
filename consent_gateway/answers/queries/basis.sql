-- basis: what of each figure stands on legitimate interest, and what on consent alone
SELECT one.1, one.2, one.2 - one.3, one.3, if(one.2 = 0, NULL, one.3 / one.2)
FROM (
    SELECT arrayJoin([
        ('visitors', uniqExactIf((day, visitor), type = 'page_view' AND visitor != 0), toUInt64(0)),
        ('page_views', countIf(type = 'page_view'), countIf(type = 'page_view' AND alone)),
        ('engagement', countIf(type = 'engagement'), countIf(type = 'engagement' AND alone)),
        ('events', countIf(type = 'custom'), countIf(type = 'custom' AND alone)),
        ('cities', countIf(type = 'page_view' AND city != ''), countIf(type = 'page_view' AND city != '')),
        ('persons', uniqExactIf(person, person != 0), uniqExactIf(person, person != 0))
    ]) AS one
    FROM (SELECT *, NOT has(purposes, 'measurement') AS alone FROM rows)
)
LIMIT {limit:UInt32}
