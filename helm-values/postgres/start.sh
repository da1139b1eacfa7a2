#!/bin/sh
# Creates the database cluster once, completely or not at all, then runs PostgreSQL.
set -eu
data=/data/pgdata new=/data/pgdata.new server=

# SIGTERM waits for all clients to disconnect, until the pod is killed. SIGINT ends their sessions cleanly.
# https://www.postgresql.org/docs/15/server-shutdown.html
stop() {
    [ -n "$server" ] || exit 143
    kill -INT "$server"
}
trap stop TERM INT

if [ ! -e "$data" ]; then
    # A kill during initdb leaves only $new, and the next start begins again. Only the rename creates $data.
    rm -rf "$new"
    initdb --pgdata="$new" --username=postgres --pwfile=/run/secrets/admin/password \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    mv "$new" "$data"
    sync -f /data
fi
chmod 0700 "$data" # the kubelet (fsGroup) may have made it group-accessible, and then the server does not start

postgres -D "$data" -c config_file=/files/postgresql.conf &
server=$!
while :; do
    status=0
    wait "$server" || status=$? # a signal ends `wait` too
    kill -0 "$server" 2>/dev/null || exit "$status"
done
