CREATE ROLE OR REPLACE consent_gateway_service;
GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, ALTER COLUMN, ALTER TTL, ALTER UPDATE, ALTER DELETE, TRUNCATE ON consent_gateway.* TO consent_gateway_service;
GRANT SELECT ON system.mutations TO consent_gateway_service;
GRANT SELECT ON system.detached_parts TO consent_gateway_service;
CREATE SETTINGS PROFILE OR REPLACE consent_gateway_analyst SETTINGS readonly = 1, max_execution_time = 30 CONST, max_memory_usage = 2000000000 CONST, max_result_rows = 100000 CONST, max_rows_to_read = 2000000000 CONST, max_bytes_to_read = 200000000000 CONST;
CREATE ROLE OR REPLACE consent_gateway_analyst SETTINGS PROFILE 'consent_gateway_analyst';
GRANT SELECT(`site`, `type`, `at`, `received_at`, `consent`, `purposes`, `policy_version`, `batch`, `visitor`, `network`, `country`, `region`, `view_id`, `path`, `route`, `query`, `http_status`, `server_ms`, `referrer_host`, `referrer_path`, `channel`, `source`, `utm_source`, `utm_medium`, `utm_campaign`, `utm_term`, `utm_content`, `browser`, `browser_version`, `os`, `os_version`, `device`, `language`, `bot`, `engaged_ms`, `scroll_pct`, `screen`, `timings`, `name`, `props`) ON consent_gateway.`events` TO consent_gateway_analyst;
GRANT SELECT ON consent_gateway.`page_views` TO consent_gateway_analyst;
GRANT SELECT ON consent_gateway.`visits` TO consent_gateway_analyst;
