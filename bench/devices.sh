#!/usr/bin/env bash
# Many simulated devices on one manager: what it costs, and how soon a change is at each of them. Once with documents that name
# them all (engines that viewers are sent to), once without.
# Usage: bench/devices.sh [--count N] [--locations N] [--services N] [--changes N] [--seconds N]
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
cargo build --quiet --release --manifest-path "$ROOT/Cargo.toml" -p weir -p weir-keeper -p weir-tests --bin weir --bin weir-keeper --bin devices
export WEIR_BIN="$TARGET/release/weir" WEIR_DEV_KEYS="$TARGET/bench/devices-keys"
mkdir -p "$ROOT/bench/results"
OUT=$ROOT/bench/results/devices-$(date -u +%Y%m%dT%H%M%SZ).jsonl
# A connection each, on both sides.
ulimit -n "$(ulimit -Hn)"
"$TARGET/release/devices" "$@" --out "$OUT"
"$TARGET/release/devices" "$@" --unlisted --out "$OUT"
