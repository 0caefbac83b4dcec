#!/bin/sh
# Run once by the image, when its volume is empty: the two roles, and a user for each. The server knows hashes only.
set -eu
clickhouse-client --multiquery < /etc/clickhouse-server/roles.sql
clickhouse-client --multiquery <<SQL
CREATE USER OR REPLACE consent_gateway IDENTIFIED WITH sha256_hash BY '$GATEWAY_SHA256';
GRANT consent_gateway_service TO consent_gateway;
CREATE USER OR REPLACE analyst IDENTIFIED WITH sha256_hash BY '$ANALYST_SHA256';
GRANT consent_gateway_analyst TO analyst;
SQL
