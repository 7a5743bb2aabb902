# Settings of the benchmarks; export a variable before to override it. Sourced, not run.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
: "${BENCH:=${CARGO_TARGET_DIR:-$ROOT/target}/bench}"   # scratch: origin files, caches, logs, process ids
: "${SERVER_CORE:=0}"                                   # the measured server is pinned here
: "${CLIENT_CORE:=1}"                                   # load generator, origin and everything else
: "${P_ORIGIN:=9000}" "${P_NGINX:=9001}" "${P_NGINX_COPY:=9002}"
: "${ROWS:=f_1k f_10k f_100k f_1m}" "${CONNECTIONS:=64}" "${ROUNDS:=3}" "${SECONDS_EACH:=5}"
RUN=$BENCH/run
export BENCH SERVER_CORE CLIENT_CORE ROWS CONNECTIONS ROUNDS SECONDS_EACH
