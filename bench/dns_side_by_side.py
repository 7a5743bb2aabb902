#!/usr/bin/env python3
"""Runs dnsperf against each NAME:ADDRESS:PORT in turn, round by round; prints medians and the ratio to each peer."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys


def once(address: str, port: str, queries: str, seconds: str) -> dict:
    command = ["taskset", "-c", os.environ["CLIENT_CORE"], "dnsperf", "-s", address, "-p", port, "-d", queries]
    command += ["-T", "1", "-c", "16", "-q", "400", "-l", seconds, "-b", "4096"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = {
        "per_second": float(re.search(r"Queries per second:\s+([\d.]+)", text)[1]),
        "lost": int(re.search(r"Queries lost:\s+(\d+)", text)[1]),
        "codes": re.search(r"Response codes:\s+(.*)", text)[1].strip(),
    }
    if not found["codes"].startswith("NOERROR") or "," in found["codes"]:
        sys.exit(f"{address}:{port} does not answer every query: {found['codes']}")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--queries", required=True)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("targets", nargs="+")
    given = arguments.parse_args()
    rates: dict[str, list[float]] = {}
    with open(given.out, "w", encoding="utf-8") as out:
        for round_number in range(int(os.environ["ROUNDS"])):
            for target in given.targets:
                name, address, port = target.split(":")
                found = once(address, port, given.queries, os.environ["SECONDS_EACH"])
                rates.setdefault(name, []).append(found["per_second"])
                out.write(json.dumps({"round": round_number, "name": name, **found}) + "\n")
    weir = statistics.median(rates["weir"])
    print(f"{'server':8} {'queries/s':>10} {'weir to it':>11}")
    for name, values in rates.items():
        median = statistics.median(values)
        print(f"{name:8} {median:10.0f} {weir / median:11.2f}")


main()
