#!/bin/sh
# Starts mongod as a member of the replica set. The key by which members know each other comes from the environment; mongod wants it in a file
# that only its user can read.
set -eu
: "${MONGO_REPLICA_KEY:?run deployments/secrets.sh}"
install -d -o mongodb -g mongodb -m 0700 /run/mongo-key
(umask 077 && printf '%s' "$MONGO_REPLICA_KEY" >/run/mongo-key/key)
chown mongodb:mongodb /run/mongo-key/key
unset MONGO_REPLICA_KEY
exec docker-entrypoint.sh mongod --replSet rs0 --keyFile /run/mongo-key/key --bind_ip_all "$@"
