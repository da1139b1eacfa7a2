#!/bin/sh
# Sessions live in this pod's memory, not in cookies: a session that was signed out of is gone, and a copy of its
# cookie opens nothing. A new pod knows none: browsers are signed in again by the issuer, without being asked.
# The store listens on no port. When it dies, /ready fails and the kubelet starts the pod's container anew.
set -eu
socket=/tmp/sessions.sock
redis-server --port 0 --unixsocket "$socket" --unixsocketperm 700 --dir /tmp --save '' --appendonly no \
  --maxmemory 64mb --maxmemory-policy volatile-ttl --loglevel warning &
until redis-cli -s "$socket" ping > /dev/null 2>&1; do
  kill -0 $! || exit 1
done
exec oauth2-proxy "$@"
