#!/bin/bash
# Sessions are in this pod's memory, not in cookies: after sign-out a copy of the cookie is worthless. A new pod has no
# sessions; the issuer then signs browsers in again silently.
# redis-server listens on no port. If it dies, /ready fails and the kubelet restarts the container.
set -eu
socket=/tmp/sessions.sock
redis-server --port 0 --unixsocket "$socket" --unixsocketperm 700 --dir /tmp --save '' --appendonly no \
  --maxmemory 64mb --maxmemory-policy volatile-ttl --loglevel warning &
until redis-cli -s "$socket" ping > /dev/null 2>&1; do
  kill -0 $! || exit 1
done

# oauth2-proxy reads the keys of the bearer token issuers once, at its start. If an issuer does not answer then (for
# example after a restart of the node), oauth2-proxy rejects its tokens for the lifetime of this pod
# (oauth2-proxy 7.15, pkg/validation/options.go). So wait for the issuers in the cluster (plain HTTP).
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
