"""redis-py with hiredis, doing what the C baseline does: see work.py for the arguments."""

import redis
from redis.utils import HIREDIS_AVAILABLE

from work import CONSUMER, GROUP, PIPELINE, Order, Run, Tally, fields


def fan_out(client, order, tally):
    last = "0"
    while tally.messages < order.messages:
        entries = entries_of(client.xread({order.stream: last}, count=order.batch))
        for _, entry in entries:
            tally.count(entry.values())
        last = entries[-1][0]


def group(client, order, tally):
    while tally.messages < order.messages:
        entries = entries_of(client.xreadgroup(GROUP, CONSUMER, {order.stream: ">"}, count=order.batch))
        for _, entry in entries:
            tally.count(entry.values())
        client.xack(order.stream, GROUP, *[identifier for identifier, _ in entries])


def produce(client, order, tally):
    while tally.messages < order.messages:
        count = min(PIPELINE, order.messages - tally.messages)
        pipeline = client.pipeline(transaction=False)
        for number in range(tally.messages + 1, tally.messages + count + 1):
            pipeline.xadd(order.stream, fields(number))
        pipeline.execute()
        tally.messages += count


def entries_of(reply):
    # Some versions return a dictionary, with the entries of a stream in one more list.
    if isinstance(reply, dict):
        (entries,) = reply.values()
        return entries if isinstance(entries[0], tuple) else entries[0]
    return reply[0][1]


if __name__ == "__main__":
    if not HIREDIS_AVAILABLE:
        raise SystemExit("hiredis is missing")
    order, tally = Order(), Tally()
    client = redis.Redis(host=order.host, port=order.port)
    client.ping()
    run = Run()
    {"fan-out": fan_out, "group": group, "produce": produce}[order.mode](client, order, tally)
    run.report(tally)
