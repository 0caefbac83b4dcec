-- The tables of version 1, as they were released. Never changed: tests bring them up to today's.

CREATE TABLE IF NOT EXISTS consent_gateway.events
(
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `type` LowCardinality(String) COMMENT 'page_view, page_error, engagement or custom',
    `at` DateTime64(3, 'UTC') COMMENT 'when it happened',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when it reached us; retention counts from it',
    `consent` LowCardinality(String) COMMENT 'the consent status in force',
    `purposes` Array(LowCardinality(String)) COMMENT 'the purposes in force',
    `policy_version` LowCardinality(String) COMMENT 'the version of the policy in force',
    `batch` LowCardinality(String) COMMENT 'the segment of the spool that brought it here',
    `visitor` UInt64 COMMENT 'a pseudonym of network and browser, for one day',
    `network` LowCardinality(String) COMMENT 'the truncated address: /24 of IPv4, /48 of IPv6',
    `country` LowCardinality(String) COMMENT 'the network\'s country, ISO 3166-1',
    `region` LowCardinality(String) COMMENT 'the network\'s region, ISO 3166-2',
    `person` UInt64 COMMENT 'a durable pseudonym of the consent' TTL toDateTime(received_at) + INTERVAL 393 DAY,
    `address` String COMMENT 'the address, encrypted (AES-256-GCM)' TTL toDateTime(received_at) + INTERVAL 30 DAY,
    `city` LowCardinality(String) COMMENT 'the address\'s city' TTL toDateTime(received_at) + INTERVAL 393 DAY,
    `view_id` UInt64 COMMENT 'a random number of this page view',
    `path` String COMMENT 'the page\'s path, scrubbed',
    `route` LowCardinality(String) COMMENT 'the page\'s route template, where the framework knows it',
    `query` String COMMENT 'the allowed part of the query: utm_* and ref',
    `http_status` UInt16 COMMENT 'the answer\'s status code',
    `server_ms` Float32 COMMENT 'milliseconds until the answer started',
    `referrer_host` LowCardinality(String) COMMENT 'the referring site',
    `referrer_path` String COMMENT 'the referring page\'s path, scrubbed',
    `channel` LowCardinality(String) COMMENT 'search, social, ai, mail, campaign, referral, internal, direct',
    `source` LowCardinality(String) COMMENT 'the referring source by name',
    `utm_source` LowCardinality(String) COMMENT 'the campaign\'s source',
    `utm_medium` LowCardinality(String) COMMENT 'the campaign\'s medium',
    `utm_campaign` LowCardinality(String) COMMENT 'the campaign\'s name',
    `utm_term` LowCardinality(String) COMMENT 'the campaign\'s keyword',
    `utm_content` LowCardinality(String) COMMENT 'the campaign\'s variant',
    `browser` LowCardinality(String) COMMENT 'the browser\'s family',
    `browser_version` LowCardinality(String) COMMENT 'the browser\'s major version',
    `os` LowCardinality(String) COMMENT 'the operating system\'s family',
    `os_version` LowCardinality(String) COMMENT 'the operating system\'s version',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, console or other',
    `language` LowCardinality(String) COMMENT 'the first language that the browser asks for',
    `bot` Bool COMMENT 'a program that says so',
    `engaged_ms` UInt32 COMMENT 'milliseconds visible, focused and active',
    `scroll_pct` UInt8 COMMENT 'how far the page was scrolled',
    `screen` LowCardinality(String) COMMENT 'the window\'s width: sm, md or lg',
    `timings` Map(LowCardinality(String), Float32) COMMENT 'load times by name',
    `name` LowCardinality(String) COMMENT 'a custom event\'s name',
    `props` Map(LowCardinality(String), String) COMMENT 'a custom event\'s properties'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (site, toDate(at), type, path, visitor, at)
TTL toDateTime(received_at) + INTERVAL 758 DAY
SETTINGS non_replicated_deduplication_window = 10000, old_parts_lifetime = 60, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS consent_gateway.held
(
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `type` LowCardinality(String) COMMENT 'page_view, page_error, engagement or custom',
    `at` DateTime64(3, 'UTC') COMMENT 'when it happened',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when it reached us; retention counts from it',
    `consent` LowCardinality(String) COMMENT 'the consent status in force',
    `purposes` Array(LowCardinality(String)) COMMENT 'the purposes in force',
    `policy_version` LowCardinality(String) COMMENT 'the version of the policy in force',
    `batch` LowCardinality(String) COMMENT 'the segment of the spool that brought it here',
    `visitor` UInt64 COMMENT 'a pseudonym of network and browser, for one day',
    `network` LowCardinality(String) COMMENT 'the truncated address: /24 of IPv4, /48 of IPv6',
    `country` LowCardinality(String) COMMENT 'the network\'s country, ISO 3166-1',
    `region` LowCardinality(String) COMMENT 'the network\'s region, ISO 3166-2',
    `person` UInt64 COMMENT 'a durable pseudonym of the consent',
    `address` String COMMENT 'the address, encrypted (AES-256-GCM)',
    `city` LowCardinality(String) COMMENT 'the address\'s city',
    `view_id` UInt64 COMMENT 'a random number of this page view',
    `path` String COMMENT 'the page\'s path, scrubbed',
    `route` LowCardinality(String) COMMENT 'the page\'s route template, where the framework knows it',
    `query` String COMMENT 'the allowed part of the query: utm_* and ref',
    `http_status` UInt16 COMMENT 'the answer\'s status code',
    `server_ms` Float32 COMMENT 'milliseconds until the answer started',
    `referrer_host` LowCardinality(String) COMMENT 'the referring site',
    `referrer_path` String COMMENT 'the referring page\'s path, scrubbed',
    `channel` LowCardinality(String) COMMENT 'search, social, ai, mail, campaign, referral, internal, direct',
    `source` LowCardinality(String) COMMENT 'the referring source by name',
    `utm_source` LowCardinality(String) COMMENT 'the campaign\'s source',
    `utm_medium` LowCardinality(String) COMMENT 'the campaign\'s medium',
    `utm_campaign` LowCardinality(String) COMMENT 'the campaign\'s name',
    `utm_term` LowCardinality(String) COMMENT 'the campaign\'s keyword',
    `utm_content` LowCardinality(String) COMMENT 'the campaign\'s variant',
    `browser` LowCardinality(String) COMMENT 'the browser\'s family',
    `browser_version` LowCardinality(String) COMMENT 'the browser\'s major version',
    `os` LowCardinality(String) COMMENT 'the operating system\'s family',
    `os_version` LowCardinality(String) COMMENT 'the operating system\'s version',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, console or other',
    `language` LowCardinality(String) COMMENT 'the first language that the browser asks for',
    `bot` Bool COMMENT 'a program that says so',
    `engaged_ms` UInt32 COMMENT 'milliseconds visible, focused and active',
    `scroll_pct` UInt8 COMMENT 'how far the page was scrolled',
    `screen` LowCardinality(String) COMMENT 'the window\'s width: sm, md or lg',
    `timings` Map(LowCardinality(String), Float32) COMMENT 'load times by name',
    `name` LowCardinality(String) COMMENT 'a custom event\'s name',
    `props` Map(LowCardinality(String), String) COMMENT 'a custom event\'s properties',
    `held_hash` UInt64 DEFAULT cityHash64(`site`, `type`, `at`, `received_at`, `consent`, `purposes`, `policy_version`, `batch`, `visitor`, `network`, `country`, `region`, `person`, `city`, `view_id`, `path`, `route`, `query`, `http_status`, `server_ms`, `referrer_host`, `referrer_path`, `channel`, `source`, `utm_source`, `utm_medium`, `utm_campaign`, `utm_term`, `utm_content`, `browser`, `browser_version`, `os`, `os_version`, `device`, `language`, `bot`, `engaged_ms`, `scroll_pct`, `screen`, `timings`, `name`, `props`) COMMENT 'what the row holds',
    `held_copy` UInt64 DEFAULT rowNumberInBlock() COMMENT 'which of equal rows'
)
ENGINE = ReplacingMergeTree
ORDER BY (person, batch, held_hash, held_copy)
SETTINGS non_replicated_deduplication_window = 10000, old_parts_lifetime = 60, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS consent_gateway.rights_requests
(
    `host` LowCardinality(String) COMMENT 'the host whose register it is in',
    `number` UInt32 COMMENT 'its number there',
    `right` LowCardinality(String) COMMENT 'what is asked for',
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `state` LowCardinality(String) COMMENT 'open, done, refused or closed',
    `received` Date COMMENT 'the day it was received',
    `due` Date COMMENT 'when the answer is promised',
    `legal_limit` Date COMMENT 'the last day that the law allows',
    `extended` Bool COMMENT 'to three months, with a reason',
    `held` Bool COMMENT 'data are kept for a legal claim',
    `person` UInt64 COMMENT 'the durable pseudonym, where one could be found',
    `proof` String COMMENT 'what was counted when it was done, as JSON',
    `entries` UInt32 COMMENT 'how many entries the register has of it',
    `changed` DateTime64(3, 'UTC') COMMENT 'when the last one was made'
)
ENGINE = ReplacingMergeTree(entries)
ORDER BY (host, number);

CREATE TABLE IF NOT EXISTS consent_gateway.stops
(
    `person` UInt64 COMMENT 'whose consent ended, who objected or was erased',
    `at` DateTime64(3, 'UTC') COMMENT 'since when',
    `why` Enum8('withdrawn' = 1, 'objected' = 2, 'erased' = 3, 'restricted' = 4, 'lifted' = 5, 'claimed' = 6, 'released' = 7, 'objects' = 8, 'unobjected' = 9) COMMENT 'what happened',
    `host` LowCardinality(String) COMMENT 'the host that published it',
    `received` DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'when it was told, by the clock of the store'
)
ENGINE = ReplacingMergeTree
ORDER BY (person, at, why)
TTL toDateTime(at) + INTERVAL 424 DAY;

ALTER TABLE consent_gateway.stops MODIFY COLUMN `why` Enum8('withdrawn' = 1, 'objected' = 2, 'erased' = 3, 'restricted' = 4, 'lifted' = 5, 'claimed' = 6, 'released' = 7, 'objects' = 8, 'unobjected' = 9);

CREATE TABLE IF NOT EXISTS consent_gateway.days
(
    `site` LowCardinality(String) COMMENT 'the site',
    `report` LowCardinality(String) COMMENT 'the query that these numbers are of',
    `day` Date COMMENT 'the day, in the time zone of the settings',
    `run` UInt64 COMMENT 'the run of the job that worked them out; right if the table closed says so',
    `key` String COMMENT 'what is counted: a page, a country, …',
    `key2` String COMMENT 'and its second part, where it has one',
    `key3` String COMMENT 'and its third',
    `counts` Array(UInt64) COMMENT 'the whole numbers that the figures of the report are made from, in its order'
)
ENGINE = MergeTree
PARTITION BY toYear(day)
ORDER BY (site, report, day, run, key, key2, key3)
TTL day + INTERVAL 758 DAY;

CREATE TABLE IF NOT EXISTS consent_gateway.closed
(
    `site` LowCardinality(String) COMMENT 'the site',
    `day` Date COMMENT 'the day, in the time zone of the settings',
    `version` UInt64 COMMENT 'the latest one counts',
    `run` UInt64 COMMENT 'the run whose numbers are right; 0 when the day is open',
    `register` UInt64 COMMENT 'which queries were worked out',
    `rows` UInt64 COMMENT 'events of that day then'
)
ENGINE = MergeTree
PARTITION BY toYear(day)
ORDER BY (site, day, version)
TTL day + INTERVAL 758 DAY;

CREATE OR REPLACE VIEW consent_gateway.page_views
(
    `day` Date COMMENT 'the day in the time zone of the settings',
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `at` DateTime64(3, 'UTC') COMMENT 'when it happened',
    `received_at` DateTime64(3, 'UTC') COMMENT 'when it reached us; retention counts from it',
    `consent` LowCardinality(String) COMMENT 'the consent status in force',
    `purposes` Array(LowCardinality(String)) COMMENT 'the purposes in force',
    `policy_version` LowCardinality(String) COMMENT 'the version of the policy in force',
    `visitor` UInt64 COMMENT 'a pseudonym of network and browser, for one day',
    `network` LowCardinality(String) COMMENT 'the truncated address: /24 of IPv4, /48 of IPv6',
    `country` LowCardinality(String) COMMENT 'the network\'s country, ISO 3166-1',
    `region` LowCardinality(String) COMMENT 'the network\'s region, ISO 3166-2',
    `view_id` UInt64 COMMENT 'a random number of this page view',
    `path` String COMMENT 'the page\'s path, scrubbed',
    `route` LowCardinality(String) COMMENT 'the page\'s route template, where the framework knows it',
    `query` String COMMENT 'the allowed part of the query: utm_* and ref',
    `http_status` UInt16 COMMENT 'the answer\'s status code',
    `server_ms` Float32 COMMENT 'milliseconds until the answer started',
    `referrer_host` LowCardinality(String) COMMENT 'the referring site',
    `referrer_path` String COMMENT 'the referring page\'s path, scrubbed',
    `channel` LowCardinality(String) COMMENT 'search, social, ai, mail, campaign, referral, internal, direct',
    `source` LowCardinality(String) COMMENT 'the referring source by name',
    `utm_source` LowCardinality(String) COMMENT 'the campaign\'s source',
    `utm_medium` LowCardinality(String) COMMENT 'the campaign\'s medium',
    `utm_campaign` LowCardinality(String) COMMENT 'the campaign\'s name',
    `utm_term` LowCardinality(String) COMMENT 'the campaign\'s keyword',
    `utm_content` LowCardinality(String) COMMENT 'the campaign\'s variant',
    `browser` LowCardinality(String) COMMENT 'the browser\'s family',
    `browser_version` LowCardinality(String) COMMENT 'the browser\'s major version',
    `os` LowCardinality(String) COMMENT 'the operating system\'s family',
    `os_version` LowCardinality(String) COMMENT 'the operating system\'s version',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, console or other',
    `language` LowCardinality(String) COMMENT 'the first language that the browser asks for',
    `bot` Bool COMMENT 'a program that says so'
)
AS SELECT toDate(at, 'UTC') AS day, site, at, received_at, consent, purposes, policy_version, visitor, network, country, region, view_id, path, route, query, http_status, server_ms, referrer_host, referrer_path, channel, source, utm_source, utm_medium, utm_campaign, utm_term, utm_content, browser, browser_version, os, os_version, device, language, bot FROM consent_gateway.events WHERE type = 'page_view'
COMMENT 'Page views, programs too (bot). c284bade';

CREATE OR REPLACE VIEW consent_gateway.visits
(
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `day` Date COMMENT 'the day in the time zone of the settings',
    `visitor` UInt64 COMMENT 'a pseudonym of network and browser, for one day',
    `started` DateTime64(3, 'UTC') COMMENT 'the first sign of the visit',
    `ended` DateTime64(3, 'UTC') COMMENT 'the last sign of the visit',
    `duration_ms` UInt64 COMMENT 'milliseconds from the first to the last sign',
    `page_views` UInt64 COMMENT 'its page views',
    `bounced` UInt8 COMMENT 'one page view, and no event of the site\'s own',
    `entry_page` String COMMENT 'the path of its first page view',
    `exit_page` String COMMENT 'the path of its last page view',
    `paths` Array(String) COMMENT 'the paths of its page views, in order',
    `country` LowCardinality(String) COMMENT 'the network\'s country, ISO 3166-1',
    `region` LowCardinality(String) COMMENT 'the network\'s region, ISO 3166-2',
    `browser` LowCardinality(String) COMMENT 'the browser\'s family',
    `browser_version` LowCardinality(String) COMMENT 'the browser\'s major version',
    `os` LowCardinality(String) COMMENT 'the operating system\'s family',
    `os_version` LowCardinality(String) COMMENT 'the operating system\'s version',
    `device` LowCardinality(String) COMMENT 'desktop, mobile, tablet, tv, console or other',
    `language` LowCardinality(String) COMMENT 'the first language that the browser asks for',
    `bot` Bool COMMENT 'a program that says so',
    `referrer_host` LowCardinality(String) COMMENT 'the referring site, of its first page view',
    `channel` LowCardinality(String) COMMENT 'search, social, ai, mail, campaign, referral, internal, direct, of its first page view',
    `source` LowCardinality(String) COMMENT 'the referring source by name, of its first page view',
    `utm_source` LowCardinality(String) COMMENT 'the campaign\'s source, of its first page view',
    `utm_medium` LowCardinality(String) COMMENT 'the campaign\'s medium, of its first page view',
    `utm_campaign` LowCardinality(String) COMMENT 'the campaign\'s name, of its first page view',
    `utm_term` LowCardinality(String) COMMENT 'the campaign\'s keyword, of its first page view',
    `utm_content` LowCardinality(String) COMMENT 'the campaign\'s variant, of its first page view'
)
AS SELECT site, day, visitor, fromUnixTimestamp64Milli(started, 'UTC') AS started, fromUnixTimestamp64Milli(ended, 'UTC') AS ended, duration_ms, visit_views AS page_views, bounced, entry_page, exit_page, paths, country, region, browser, browser_version, os, os_version, device, language, bot, referrer_host, channel, source, utm_source, utm_medium, utm_campaign, utm_term, utm_content FROM (SELECT site, day, visitor, country, region, browser, browser_version, os, os_version, device, language, bot, times[1] AS started, times[-1] AS ended, toUInt64(times[-1] - times[1]) AS duration_ms, length(views) AS visit_views, length(views) = 1 AND NOT acted AS bounced, views.4 AS paths, views[1].4 AS entry_page, views[-1].4 AS exit_page, views[1].5 AS referrer_host, views[1].6 AS channel, views[1].7 AS source, views[1].8 AS utm_source, views[1].9 AS utm_medium, views[1].10 AS utm_campaign, views[1].11 AS utm_term, views[1].12 AS utm_content FROM (SELECT site, day, visitor, country, region, browser, browser_version, os, os_version, device, language, bot, visit, arrayFilter(hit -> hit.3 = 1, visit) AS views, visit.1 AS times, has(visit.3, 2) AS acted FROM (SELECT site, day, visitor, country, region, browser, browser_version, os, os_version, device, language, bot, arrayJoin(arraySplit((hit, before) -> hit.1 - before >= 1800000, hits, arrayPushFront(arrayPopBack(hits.1), hits[1].1))) AS visit FROM (SELECT site, day, visitor, any(country) AS country, any(region) AS region, any(browser) AS browser, any(browser_version) AS browser_version, any(os) AS os, any(os_version) AS os_version, any(device) AS device, any(language) AS language, any(bot) AS bot, arraySort(groupArray((toUnixTimestamp64Milli(at), view_id, multiIf(type = 'page_view', 1, type = 'custom', 2, 0), path, referrer_host, channel, source, utm_source, utm_medium, utm_campaign, utm_term, utm_content))) AS hits FROM (SELECT *, toDate(at, 'UTC') AS day FROM consent_gateway.events) WHERE visitor != 0 GROUP BY site, day, visitor))) WHERE notEmpty(views)) WHERE visit_views > 0
COMMENT 'Visits, programs too (bot). 0799af7a';

CREATE TABLE IF NOT EXISTS consent_gateway.consents
(
    `record` String COMMENT 'the id of the record',
    `host` LowCardinality(String) COMMENT 'the host whose ledger it is in',
    `site` LowCardinality(String) COMMENT 'the site, by its name in the settings',
    `at` DateTime64(3, 'UTC') COMMENT 'when it was chosen, by the clock of the server',
    `action` LowCardinality(String) COMMENT 'what was done: accept_all, reject_all, save, withdraw, object or unobject',
    `status` LowCardinality(String) COMMENT 'the consent status from then on',
    `consent_id` String COMMENT 'of a grant; empty for a refusal',
    `supersedes` String COMMENT 'the consent that it ended',
    `granted` Array(LowCardinality(String)) COMMENT 'the purposes granted from then on',
    `objection` Bool COMMENT 'objects to legitimate interest',
    `policy_version` LowCardinality(String) COMMENT 'the version of the policy',
    `notice` String COMMENT 'the SHA-256 of the text that was shown',
    `language` LowCardinality(String) COMMENT 'the language of that text',
    `place` LowCardinality(String) COMMENT 'where it was chosen: banner, preferences or page',
    `script` String COMMENT 'the SHA-256 of the script that showed it',
    `gpc` Bool COMMENT 'the browser sent Sec-GPC: 1',
    `dnt` Bool COMMENT 'the browser sent DNT: 1',
    `valid_until` Nullable(DateTime64(3, 'UTC')) COMMENT 'until when a grant counts',
    `hash` String COMMENT 'the SHA-256 of its line in the ledger'
)
ENGINE = ReplacingMergeTree
ORDER BY (site, at, record)
TTL toDateTime(at) + INTERVAL 1095 DAY;

CREATE TABLE IF NOT EXISTS consent_gateway.seals
(
    `host` LowCardinality(String) COMMENT 'the host whose ledger was sealed',
    `at` DateTime64(3, 'UTC') COMMENT 'when',
    `count` UInt64 COMMENT 'records since the beginning',
    `head` String COMMENT 'the SHA-256 of the last one',
    `seal` String COMMENT 'the whole seal, as JSON'
)
ENGINE = ReplacingMergeTree
ORDER BY (host, count, head)
TTL toDateTime(at) + INTERVAL 1095 DAY;

