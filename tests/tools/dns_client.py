"""Asks a name server what dnspython can ask, one JSON line per question: what came, read by a strict parser."""

import json
import sys

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype

# Seconds for one answer.
PATIENCE = 5


def summary(response):
    options = [option for option in response.options if isinstance(option, dns.edns.ECSOption)]
    section = lambda rrsets: [
        {"name": rrset.name.to_text(), "type": dns.rdatatype.to_text(rrset.rdtype), "ttl": rrset.ttl, "data": [item.to_text() for item in rrset]}
        for rrset in rrsets
    ]
    return {
        "rcode": dns.rcode.to_text(response.rcode()),
        "flags": dns.flags.to_text(response.flags).split(),
        "question": [question.name.to_text() for question in response.question],
        "answer": section(response.answer),
        "authority": section(response.authority),
        "additional": section(response.additional),
        "edns": response.edns,
        "payload": response.payload,
        "ecs": [{"address": option.address, "source": option.srclen, "scope": option.scopelen} for option in options],
    }


def ask(server, port, wanted):
    options = []
    if "subnet" in wanted:
        address, prefix = wanted["subnet"].split("/")
        options.append(dns.edns.ECSOption(address, int(prefix)))
    query = dns.message.make_query(
        wanted["name"], wanted["type"], rdclass=wanted.get("class", "IN"), use_edns=wanted.get("edns"), options=options or None, payload=wanted.get("payload")
    )
    if "opcode" in wanted:
        query.set_opcode(dns.opcode.from_text(wanted["opcode"]))
    send = dns.query.tcp if wanted.get("tcp") else dns.query.udp
    # Refuses an answer with bytes behind it, with another id, or to another question.
    return send(query, server, port=port, timeout=PATIENCE)


def main():
    server, port = sys.argv[1], int(sys.argv[2])
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            print(json.dumps(summary(ask(server, port, wanted))))
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))


main()
