#!/usr/bin/env bash
# Hand-overs of engines under new connections, and the time of the way back. Development builds: what is asked is whether a
# connection is lost, and a start costs more there than in a release.
# Usage: bench/handover.sh [--count N] [--engines N] [--rate N] [--backs N]
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd)
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
cargo build --quiet --manifest-path "$ROOT/Cargo.toml" -p weir -p weir-tests
cargo xtask synthetic > "$TARGET/handover-synthetic.log"
export WEIR_BIN="$TARGET/debug/weir" WEIR_DIST="$TARGET/dist-test" WEIR_DEV_KEYS="$TARGET/dist-test/keys"
mkdir -p "$ROOT/bench/results"
"$TARGET/debug/handovers" "$@" | tee "$ROOT/bench/results/handover-$(date -u +%Y%m%dT%H%M%SZ).txt"
