#!/bin/sh
# Makes the secrets of a deployment, random ones, in a file that only its owner can read:
#
#   deployments/secrets.sh              .env, for real phones
#   deployments/secrets.sh simulate     simulate.env, for a stack of its own against the simulator
#
# It never overwrites a file: the key in it is the only way to the linked phones. Keep a copy of .env away from this machine and from the backups.
set -eu
cd "$(dirname "$0")/.."

case "${1:-production}" in
production) file=.env environment=production wasim= project=broadcaster profiles= hours= ;;
simulate) file=simulate.env environment=development wasim=http://wasim:8090 project=broadcaster-simulate profiles=simulate hours=always ;;
*)
	echo "usage: $0 [simulate]" >&2
	exit 2
	;;
esac

# hex BYTES: that many random bytes in hex.
hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# A password begins with a letter, because nats-server reads what begins with a digit as a number.
password() { printf 'p%s' "$(hex 24)"; }

case "$environment" in
production) name="production-$(date -u +%Y%m%d)" ;;
*) name=simulation ;;
esac
# An API key: a public part of 16 characters, and a secret of 32 bytes in base64 for addresses.
api_key() { printf 'bcr_%s_%s' "$(hex 8)" "$(head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_')"; }

key="$name:$(hex 32)"
egress_key="$name:$(hex 32)"

umask 077
# With noclobber the redirection fails when the file exists, also when it was made a moment ago.
set -C
if ! (: >"$file") 2>/dev/null; then
	echo "$file exists, and is left as it is. Without the key in it the linked phones are lost: move it away only if you know that." >&2
	exit 1
fi
set +C
cat >"$file" <<END
# Made by deployments/secrets.sh. Keep a copy of this file away from this machine and from the backups.
COMPOSE_PROJECT_NAME=$project
COMPOSE_PROFILES=$profiles
ENVIRONMENT=$environment
WASIM_URL=$wasim
# When campaigns send that say nothing else, such as 09:00-20:00; empty: the service's own hours.
SEND_HOURS=$hours

# Seals the keys of the linked phones.
KEYSTORE_KEY=$key
# Seals the addresses of proxies.
EGRESS_KEY=$egress_key
# The first admin key of the API, to make others with. Revoke it when there is another one.
ADMIN_KEY=$(api_key)

NATS_API_PASSWORD=$(password)
NATS_LINKER_PASSWORD=$(password)
NATS_SENDER_PASSWORD=$(password)
NATS_OPERATOR_PASSWORD=$(password)
NATS_SYSTEM_PASSWORD=$(password)
NATS_CLUSTER_PASSWORD=$(password)

MONGO_ROOT_PASSWORD=$(password)
MONGO_APP_PASSWORD=$(password)
MONGO_REPLICA_KEY=$(hex 64)

GRAFANA_PASSWORD=$(password)
END
echo "$file is made."
