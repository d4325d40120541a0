#!/bin/sh
# Runs HAProxy, and reloads it in place when its configuration or its peers change.
#
# A restart of the gateway would cut every live stream. On a reload the old HAProxy process keeps its streams until they
# end, while a new one takes newcomers and inherits the listening sockets and the stick table. A configuration that does
# not pass HAProxy's own check is never loaded: the one that runs goes on.
set -eu

# Before anything else: a process number 1 without a handler never hears of SIGTERM.
stopping=no
trap 'stopping=yes' TERM INT

config_dir=${ASRPOOL_CONFIG_DIR:-/etc/asrpool}
run_dir=${ASRPOOL_RUN_DIR:-/run/asrpool}
poll_seconds=${ASRPOOL_POLL_SECONDS:-1}
reload_seconds=${ASRPOOL_RELOAD_SECONDS:-12}
stop_delay_seconds=${ASRPOOL_STOP_DELAY_SECONDS:-3}
name=${POD_NAME:-$(hostname)}
address=${POD_IP:-127.0.0.1}

if [ -z "${ASRPOOL_NAMESERVER:-}" ]; then
    ASRPOOL_NAMESERVER="$(sed -n 's/^nameserver[[:space:]]*//p' /etc/resolv.conf | head -n 1):53"
fi
ASRPOOL_RUN_DIR=$run_dir
export ASRPOOL_NAMESERVER ASRPOOL_RUN_DIR

log() { printf '{"level":"%s","message":"%s"}\n' "$1" "$2"; }

# HAProxy needs two open files for each connection and two for each server's checks, and does not start with less.
fit_connections() {
    may_have=$(ulimit -H -n)
    [ "$may_have" != unlimited ] || return 0
    wanted=$(sed -n 's/^    maxconn //p' "$1" | head -n 1)
    servers=$(sed -n 's/^    server-template w 1-\([0-9]*\) .*/\1/p' "$1")
    possible=$(((may_have - 2 * servers - 300) / 2))
    if [ "$wanted" -gt "$possible" ]; then
        log warning "$possible connections is all that $may_have open files allow; the pool could need $wanted"
        sed -i "s/^    maxconn $wanted\$/    maxconn $possible/" "$1"
    fi
}

# The peers section is made here because the other gateways' addresses are known only now. The gateway itself is always
# in it: over this entry a reloaded HAProxy learns the stick table of the one it follows.
write_peers() {
    echo "peers gateways"
    echo "    peer $name $address:${ASRPOOL_PEER_PORT:-10000}"
    while read -r peer host; do
        [ "$peer" != "$name" ] || continue
        peer_address=$(getent ahostsv4 "$host" | sed -n '1s/ .*//p')
        # One that restarts is unknown for a moment: no reason to reload twice.
        [ -n "$peer_address" ] || peer_address=$(sed -n "s/^    peer $peer \(.*\):.*/\1/p" "$run_dir/loaded/peers.cfg" 2>/dev/null || true)
        [ -z "$peer_address" ] || echo "    peer $peer $peer_address:${ASRPOOL_PEER_PORT:-10000}"
    done <"$config_dir/peers"
}

# Copies what would be loaded into $1, so that the mounted files cannot change between the check and the load.
stage() {
    rm -rf "$1" &&
        mkdir -p "$1" &&
        cp -L "$config_dir/haproxy.cfg" "$config_dir/gateway.lua" "$1/" &&
        fit_connections "$1/haproxy.cfg" &&
        write_peers >"$1/peers.cfg"
}

valid() {
    ASRPOOL_LOADED_DIR="$1" haproxy -c -L "$name" -f "$1/peers.cfg" -f "$1/haproxy.cfg"
}

# A process teaches its successor the stick table only when its own start-up synchronisation is over (HAProxy gives
# that 5 s for the local peer and 5 s for the others): sooner than this after a load, the sessions would be forgotten.
settled() { [ $(($(date +%s) - loaded_at)) -ge "$reload_seconds" ]; }

# A busy machine may take seconds from a load until the new process runs: its time counts from then.
see_process() {
    newest=$(sed 's/ *$//; s/.* //' "/proc/$master/task/$master/children" 2>/dev/null) || return 0
    if [ "$newest" != "$seen" ]; then
        seen=$newest
        loaded_at=$(date +%s)
    fi
}

load() {
    rm -rf "$run_dir/loaded" && mv "$run_dir/staged" "$run_dir/loaded" && loaded_at=$(date +%s)
}

fingerprint() { cat "$1/peers.cfg" "$1/haproxy.cfg" "$1/gateway.lua" | cksum; }

stage "$run_dir/staged"
if ! valid "$run_dir/staged"; then
    log error "the configuration in $config_dir is not valid; HAProxy was not started"
    exit 1
fi
if [ "${1:-}" = check ] || [ "$stopping" = yes ]; then
    exit 0
fi
load

ASRPOOL_LOADED_DIR="$run_dir/loaded"
export ASRPOOL_LOADED_DIR
haproxy -W -db -L "$name" -f "$run_dir/loaded/peers.cfg" -f "$run_dir/loaded/haproxy.cfg" &
master=$!

# New connections are still taken for a moment, until every node has heard that this pod goes; then the live streams
# get the time that hard-stop-after gives them.
stop() {
    trap '' TERM INT
    log info "stopping: live streams are finished first"
    sleep "$stop_delay_seconds"
    kill -USR1 "$master" 2>/dev/null || true
}
rejected=
seen=
while [ "$stopping" = no ] && kill -0 "$master" 2>/dev/null; do
    sleep "$poll_seconds" &
    wait $! || true
    [ "$stopping" = no ] || break
    see_process
    # Whatever goes wrong from here on (the kubelet exchanges the files just now), the HAProxy that runs goes on: if this
    # script ended, the container would, and with it every stream.
    stage "$run_dir/staged" || continue
    wanted=$(fingerprint "$run_dir/staged") || continue
    if [ "$wanted" = "$(fingerprint "$run_dir/loaded")" ] || [ "$wanted" = "$rejected" ]; then
        continue
    fi
    settled || continue
    if valid "$run_dir/staged"; then
        if load && kill -USR2 "$master"; then
            log info "configuration reloaded; live streams go on in the process that has them"
        fi
    else
        rejected=$wanted
        log error "the new configuration is not valid and was not loaded"
    fi
done

[ "$stopping" = no ] || stop
wait "$master"
