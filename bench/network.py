#!/usr/bin/env python3
"""Prints `ADDRESS:PORT DOMAIN DATA-DIRECTORY` of one edge engine in a network.json that `weir up` wrote."""
import json
import os
import sys


def main() -> None:
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        network = json.load(file)
    edges = [engine for engine in network["engines"] if engine["location"] != "core" and engine["http"]]
    if not edges:
        sys.exit(f"{path}: no edge engine with an HTTP listener")
    data = os.path.join(os.path.dirname(path), edges[0]["dir"])
    print(edges[0]["http"], network["services"][0]["domain"], data)


main()
