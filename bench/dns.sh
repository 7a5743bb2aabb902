#!/usr/bin/env bash
# Side by side with name servers: A queries over UDP for 1,000 names, one server core, dnsperf as the client.
# Peers answer from a zone file; Weir routes each answer: coverage zone, liveness, weighted placement.
# Usage: bench/dns.sh     ROUNDS=3 SECONDS_EACH=5; peers that are not installed are left out and named.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$HERE/peers.sh"

DNS=$BENCH/dns
NAMES=1000
ZONE=bench.test
: "${P_KNOT:=5301}" "${P_NSD:=5302}" "${P_GDNSD:=5303}"
targets=()

# One name for each delivery service Weir will have, in one zone for the peers.
make_zone() {
  rm -rf "$DNS"
  mkdir -p "$DNS"/{knot,nsd,gdnsd/zones,gdnsd-run,gdnsd-state}
  {
    printf '$ORIGIN %s.\n$TTL 20\n@ IN SOA ns1 host 1 3600 600 86400 20\n@ IN NS ns1\nns1 IN A 192.0.2.250\n' "$ZONE"
    for ((i = 0; i < NAMES; i++)); do echo "h$i IN A 192.0.2.$((i % 250 + 1))"; done
  } > "$DNS/$ZONE.zone"
  cp "$DNS/$ZONE.zone" "$DNS/gdnsd/zones/$ZONE"
  for ((i = 0; i < 50000; i++)); do echo "h$((RANDOM % NAMES)).$ZONE A"; done > "$DNS/queries"
  chmod -R a+rwX "$DNS"
}

# peer NAME PORT PROGRAM ARGUMENTS..
peer() {
  local name=$1 port=$2
  shift 2
  if ! command -v "$1" > /dev/null; then
    echo "$name is not installed: left out" >&2
    return
  fi
  background "$name" taskset -c "$SERVER_CORE" "$@"
  targets+=("$name:127.0.0.1:$port")
}

start_peers() {
  printf 'server:\n  listen: 127.0.0.1@%s\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n  rundir: %s/knot\n  pidfile: %s/knot/knot.pid\ndatabase:\n  storage: %s/knot\ntemplate:\n  - id: default\n    storage: %s\n    semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\nzone:\n  - domain: %s\n    file: %s.zone\n' \
    "$P_KNOT" "$DNS" "$DNS" "$DNS" "$DNS" "$ZONE" "$ZONE" > "$DNS/knot.conf"
  printf 'server:\n  server-count: 1\n  ip-address: 127.0.0.1@%s\n  username: ""\n  chroot: ""\n  zonesdir: "%s"\n  database: ""\n  pidfile: "%s/nsd/nsd.pid"\n  xfrdfile: "%s/nsd/xfrd.state"\n  zonelistfile: "%s/nsd/zone.list"\n  xfrdir: "%s/nsd"\n  reuseport: yes\n  minimal-responses: yes\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\nzone:\n  name: %s\n  zonefile: %s.zone\n' \
    "$P_NSD" "$DNS" "$DNS" "$DNS" "$DNS" "$DNS" "$ZONE" "$ZONE" > "$DNS/nsd.conf"
  printf 'options => { listen => { 127.0.0.1:%s = { udp_threads = 1, tcp_threads = 1 } }, run_dir => %s/gdnsd-run, state_dir => %s/gdnsd-state }\n' \
    "$P_GDNSD" "$DNS" "$DNS" > "$DNS/gdnsd/config"
  peer knot "$P_KNOT" knotd -c "$DNS/knot.conf"
  peer nsd "$P_NSD" nsd -d -c "$DNS/nsd.conf"
  peer gdnsd "$P_GDNSD" gdnsd -c "$DNS/gdnsd" -R start
}

# A network whose delivery services have the zone's names, the router's worker on the server core.
start_weir() {
  rm -rf "$BENCH/dns-network"
  background weir taskset -c "$CLIENT_CORE" "$ROOT/target/release/weir" up --dir "$BENCH/dns-network" --base auto --no-browser
  local deadline=$((SECONDS + 60))
  until [ -s "$BENCH/dns-network/network.json" ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      tail -n 20 "$RUN/weir.log" >&2
      return 1
    fi
    sleep 0.2
  done
  local address pid
  read -r address pid <<< "$("$HERE/dns_services.py" "$BENCH/dns-network/network.json" "$NAMES" "$ZONE")"
  taskset --all-tasks --cpu-list --pid "$SERVER_CORE" "$pid" > /dev/null
  targets+=("weir:$address")
}

for program in dnsperf taskset python3; do
  command -v "$program" > /dev/null || { echo "missing: $program (Debian packages dnsperf, util-linux, python3)" >&2; exit 1; }
done
cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" --target-dir "$ROOT/target" -p weir
mkdir -p "$RUN"
stop_all
trap stop_all EXIT
make_zone
start_peers
start_weir
mkdir -p "$HERE/results"
"$HERE/dns_side_by_side.py" --queries "$DNS/queries" --out "$HERE/results/dns-$(date -u +%Y%m%dT%H%M%SZ).jsonl" "${targets[@]}"
