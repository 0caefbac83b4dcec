#!/bin/sh
# Makes ./secrets once: an authority of your own, a certificate for the store, passwords, the cookie secret.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir secrets  # a second run ends here
cd secrets

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=Shop authority" \
    -keyout authority.key -out authority.pem 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=clickhouse" \
    -keyout server.key -out server.csr 2>/dev/null
printf 'subjectAltName=DNS:clickhouse,DNS:localhost,IP:127.0.0.1\n' > names
openssl x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 800 \
    -extfile names -out server.pem 2>/dev/null
rm server.csr names authority.srl
chmod 644 authority.pem server.pem server.key  # read by other users in the containers; this folder is yours alone

gateway=$(openssl rand -hex 24)
analyst=$(openssl rand -hex 24)
hash() { printf %s "$1" | openssl dgst -sha256 -r | cut -d' ' -f1; }
cat > shop.env <<END
CONSENT_GATEWAY_DSN=clickhouses://consent_gateway:$gateway@clickhouse:8443
CONSENT_GATEWAY_SECRET=$(openssl rand -base64 32)
END
cat > clickhouse.env <<END
CLICKHOUSE_SKIP_USER_SETUP=1
GATEWAY_SHA256=$(hash "$gateway")
ANALYST_SHA256=$(hash "$analyst")
END
echo "$analyst" > analyst.password
echo "secrets/ is there: keep authority.key somewhere else, and none of it in version control."
