#!/usr/bin/env python3
"""Measures the same rows on several servers, alternating them inside each round, and prints medians with the ratio to the
first server. A target is NAME=ADDRESS:PORT/PREFIX=PID; a row's path is the prefix and the row's name.

Rows, connections, rounds and seconds come from the environment (env.sh). A run during which other processes took more
than NOISE_PERCENT of a core is measured once more; the quieter of the two counts."""
import argparse
import json
import os
import statistics
import subprocess
import sys

# Share of a core that others may take during a run.
NOISE_PERCENT = 15


class Target:
    def __init__(self, text: str) -> None:
        self.name, url, self.pid = text.split("=")
        self.address, _, self.prefix = url.partition("/")


def measure(lg: str, target: Target, row: str) -> dict:
    """One run, repeated once when the machine was busy with something else."""
    command = ["taskset", "-c", os.environ["CLIENT_CORE"], lg, "--to", target.address, "--srv", target.pid]
    command += ["-c", os.environ["CONNECTIONS"], "-t", os.environ["SECONDS_EACH"], f"/{target.prefix}{row}"]
    best = None
    for _ in range(2):
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"{target.name} {row}: {run.stderr.strip()}")
        result = json.loads(run.stdout)
        result["noise"] = max(result["foreign0"], result["foreign1"])
        if set(result["statuses"]) != {"200"} or result["errors"]:
            sys.exit(f"{target.name} {row}: not only 200: {result['statuses']}, {result['errors']} errors")
        if best is None or result["noise"] < best["noise"]:
            best = result
        if best["noise"] <= NOISE_PERCENT:
            break
    return best


def show(row: str, targets: list, results: dict) -> None:
    def median(name: str, figure: str) -> float:
        return statistics.median(result[figure] for result in results[name])

    first = median(targets[0].name, "rps")
    print(f"\n{row}, {os.environ['CONNECTIONS']} connections, median of {os.environ['ROUNDS']}")
    print(f"{'server':12} {'req/s':>9} {'ratio':>6} {'MB/s':>8} {'p50 us':>8} {'p99 us':>9} {'core 0 %':>8} {'PSS MiB':>8} {'noise %':>8}")
    for target in targets:
        figures = {figure: median(target.name, figure) for figure in ("rps", "mbs", "p50_us", "p99_us", "cpu0", "rss_kib", "noise")}
        print(
            f"{target.name:12} {figures['rps']:9.0f} {figures['rps'] / first:6.2f} {figures['mbs']:8.0f} {figures['p50_us']:8.0f}"
            f" {figures['p99_us']:9.0f} {figures['cpu0']:8.0f} {figures['rss_kib'] / 1024:8.1f} {figures['noise']:8.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lg", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("targets", nargs="+", type=Target)
    arguments = parser.parse_args()
    with open(arguments.out, "a", encoding="utf-8") as out:
        for row in os.environ["ROWS"].split():
            results: dict = {target.name: [] for target in arguments.targets}
            for round_number in range(int(os.environ["ROUNDS"])):
                for target in arguments.targets:
                    result = measure(arguments.lg, target, row)
                    results[target.name].append(result)
                    out.write(json.dumps(dict(result, server=target.name, row=row, round=round_number)) + "\n")
            show(row, arguments.targets, results)
    print(f"\nevery run: {arguments.out}")


main()
