#!/usr/bin/env bash
# Side by side with nginx: cache hits of 1 KiB to 1 MiB over keep-alive connections, one server core.
# Usage: bench/run.sh [--peers-only]     --peers-only measures nginx alone, to check the setup
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$HERE/peers.sh"

WEIR_DIR=$BENCH/network

# Starts a network of three engines before the same origin, pins the worker of one edge engine to the server's core, and
# sets WEIR_ADDRESS (host:port), WEIR_DOMAIN and WEIR_PID.
start_weir() {
  rm -rf "$WEIR_DIR"
  background weir taskset -c "$CLIENT_CORE" "$ROOT/target/release/weir" up --dir "$WEIR_DIR" \
    --origin "http://127.0.0.1:$P_ORIGIN" --engines 3 --base auto
  local deadline=$((SECONDS + 60)) engine
  until engine=$("$HERE/network.py" "$WEIR_DIR/network.json" 2> "$RUN/network.err"); do
    if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$(cat "$RUN/weir.bench-pid")" 2>/dev/null; then
      echo "weir up is not in service:" >&2
      tail -n 20 "$RUN/weir.log" "$RUN/network.err" >&2
      return 1
    fi
    sleep 0.2
  done
  local data
  read -r WEIR_ADDRESS WEIR_DOMAIN data <<< "$engine"
  WEIR_PID=$(cat "$data/run/worker.pid")
  taskset --all-tasks --cpu-list --pid "$SERVER_CORE" "$WEIR_PID" > /dev/null
  await weir "http://$WEIR_ADDRESS/$WEIR_DOMAIN/f_1k"
}

for program in nginx taskset curl python3; do
  command -v "$program" > /dev/null || { echo "missing: $program" >&2; exit 1; }
done
cargo build --quiet --release --manifest-path "$HERE/lg/Cargo.toml" --target-dir "$ROOT/target/lg"
if [ "${1:-}" != --peers-only ]; then
  cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" --target-dir "$ROOT/target" -p weir
fi

mkdir -p "$RUN"
stop_all
trap stop_all EXIT
make_files
start_origin
start_nginx nginx "$P_NGINX" on
start_nginx nginx-copy "$P_NGINX_COPY" off
targets=("nginx=127.0.0.1:$P_NGINX/=$(cat "$RUN/nginx.pid")" "nginx-copy=127.0.0.1:$P_NGINX_COPY/=$(cat "$RUN/nginx-copy.pid")")
if [ "${1:-}" != --peers-only ]; then
  start_weir
  targets+=("weir=$WEIR_ADDRESS/$WEIR_DOMAIN/=$WEIR_PID")
fi
mkdir -p "$HERE/results"
"$HERE/side_by_side.py" --lg "$ROOT/target/lg/release/lg" --out "$HERE/results/$(date -u +%Y%m%dT%H%M%SZ).jsonl" "${targets[@]}"
