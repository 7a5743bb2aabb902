#!/usr/bin/env python3
"""Makes NAMES delivery services h0.ZONE.. in a running network; prints `DNS-ADDRESS:PORT WORKER-PID` of its first router."""
import json
import os
import ssl
import sys
import time
import urllib.request


def main() -> None:
    path, names, zone = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(path, encoding="utf-8") as file:
        network = json.load(file)
    manager, router = network["manager"], network["routers"][0]
    trust = ssl.create_default_context(cafile=manager["ca"])

    def ask(method: str, what: str, body: object = None) -> dict:
        request = urllib.request.Request(manager["url"] + "/api/v1/" + what, method=method)
        request.add_header("Authorization", "Bearer " + manager["token"])
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data=data, context=trust) as answer:
            return json.load(answer)

    for i in range(names):
        ask("POST", "delivery-services", {"name": f"h{i}", "domain": f"h{i}.{zone}", "origin": network["services"][0]["origin"]})
    generation = ask("GET", "status")["generation"]
    deadline = time.monotonic() + 60
    while ask("GET", "devices/" + router["name"])["last_report"]["stamp"]["generation"] < generation:
        if time.monotonic() > deadline:
            sys.exit("the router does not run the newest configuration")
        time.sleep(0.2)
    with open(os.path.join(router["dir"], "run/worker.pid"), encoding="utf-8") as file:
        print(router["dns"], file.read().strip())


main()
