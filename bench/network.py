#!/usr/bin/env python3
"""Prints `ADDRESS:PORT DOMAIN DATA-DIRECTORY` of one edge engine in a network.json that `weir up` wrote."""
import json
import os
import sys


def main() -> None:
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        network = json.load(file)
    engines = [device for device in network["devices"] if device["role"] == "engine"]
    edges = [device for device in engines if device["location"] != "core"]
    engine = (edges or engines)[0]
    data = os.path.join(os.path.dirname(path), engine["data"])
    print(engine["http"], network["services"][0]["domain"], data)


main()
