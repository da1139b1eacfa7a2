#!/bin/bash
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

# Issuers of machines are asked for their keys once, at the start. One that does not answer then, as when a whole node
# comes back, is taken for one that has them elsewhere, and its tokens are refused for as long as this pod lives
# (oauth2-proxy 7.15, pkg/validation/options.go). Those of the cluster, at plain HTTP, are waited for.
discovered() {
  local address=${1%%/*} path=/${1#*/} status=
  exec 3<> "/dev/tcp/${address%:*}/${address##*:}" || return 1
  printf 'GET %s/.well-known/openid-configuration HTTP/1.0\r\nHost: %s\r\n\r\n' "$path" "$address" >&3
  read -r status <&3
  [[ $status == *' 200 '* ]]
}
for argument; do
  [[ $argument == --extra-jwt-issuers=* ]] || continue
  IFS=, read -ra pairs <<< "${argument#*=}"
  for pair in "${pairs[@]}"; do
    [[ $pair == http://*:*/* ]] || continue
    issuer=${pair#http://}
    until (discovered "${issuer%=*}") 2> /dev/null; do sleep 0.5; done
  done
done
exec oauth2-proxy "$@"
