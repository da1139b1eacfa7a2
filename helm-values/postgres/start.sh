#!/bin/sh
# Owns PostgreSQL's start: makes the database cluster once, whole or not at all, then runs the server.
set -eu
data=/data/pgdata new=/data/pgdata.new server=

# SIGTERM would wait for every client to leave, until the pod is killed; SIGINT ends their sessions cleanly.
# https://www.postgresql.org/docs/15/server-shutdown.html
stop() {
    [ -n "$server" ] || exit 143
    kill -INT "$server"
}
trap stop TERM INT

if [ ! -e "$data" ]; then
    # Killed in the middle it leaves only $new, and starts afresh: renaming is the one step that counts.
    rm -rf "$new"
    initdb --pgdata="$new" --username=postgres --pwfile=/run/secrets/admin/password \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums
    mv "$new" "$data"
    sync -f /data
fi
chmod 0700 "$data" # kubelet may have opened it to the group, and then the server refuses to start

postgres -D "$data" -c config_file=/files/postgresql.conf &
server=$!
while :; do
    status=0
    wait "$server" || status=$? # also a signal ends it
    kill -0 "$server" 2>/dev/null || exit "$status"
done
