# nginx as origin and as peer: start and stop. Sourced by run.sh.

# fill IN OUT NAME PORT SENDFILE: writes a configuration from its template.
fill() {
  local user=""
  if [ "$(id -u)" = 0 ]; then user="user root;"; fi
  sed -e "s#@USER@#$user#g" -e "s#@BENCH@#$BENCH#g" -e "s#@P_ORIGIN@#$P_ORIGIN#g" \
    -e "s#@NAME@#$3#g" -e "s#@PORT@#$4#g" -e "s#@SENDFILE@#$5#g" "$HERE/conf/$1" > "$2"
}

# background NAME COMMAND..: runs in its own session and notes the process id.
background() {
  local name=$1
  shift
  setsid "$@" > "$RUN/$name.log" 2>&1 < /dev/null &
  echo $! > "$RUN/$name.bench-pid"
}

# await WHAT URL: until the address answers, 20 s at most.
await() {
  local deadline=$((SECONDS + 20))
  until curl --silent --fail --output /dev/null --max-time 2 "$2"; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "$1 does not answer at $2; its log:" >&2
      tail -n 20 "$RUN/$1.log" "$RUN/$1.err" >&2 2>/dev/null || true
      return 1
    fi
    sleep 0.1
  done
}

# Random bytes, so that no side gains by compressing; f_1k is 1 KiB, f_1m 1 MiB.
make_files() {
  mkdir -p "$BENCH/www" "$RUN"
  local pair
  for pair in f_1k:1024 f_10k:10240 f_100k:102400 f_1m:1048576; do
    if [ ! -s "$BENCH/www/${pair%:*}" ]; then head -c "${pair#*:}" /dev/urandom > "$BENCH/www/${pair%:*}"; fi
  done
}

start_origin() {
  fill nginx-origin.conf.in "$RUN/origin.conf" origin "$P_ORIGIN" on
  background origin taskset -c "$CLIENT_CORE" nginx -c "$RUN/origin.conf"
  await origin "http://127.0.0.1:$P_ORIGIN/f_1k"
}

# start_nginx NAME PORT SENDFILE
start_nginx() {
  rm -rf "$BENCH/$1-cache"
  fill nginx-cache.conf.in "$RUN/$1.conf" "$1" "$2" "$3"
  background "$1" taskset -c "$SERVER_CORE" nginx -c "$RUN/$1.conf"
  await "$1" "http://127.0.0.1:$2/f_1k"
}

# Ends everything that this run started, by process id.
stop_all() {
  local file pid
  for file in "$RUN"/*.bench-pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    timeout 20 tail --pid="$pid" -f /dev/null 2>/dev/null || kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
  done
}
