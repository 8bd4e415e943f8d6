"""valkey-glide, doing what the C baseline does: see work.py for the arguments."""

import asyncio

from glide import (
    Batch,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    StreamReadGroupOptions,
    StreamReadOptions,
)

from work import CONSUMER, GROUP, PIPELINE, Order, Run, Tally, fields


def count(reply, tally):
    """Returns the ids."""
    (entries,) = reply.values()
    for entry in entries.values():
        tally.count(value for _, value in entry)
    return list(entries)


async def fan_out(client, order, tally):
    last, options = "0", StreamReadOptions(count=order.batch)
    while tally.messages < order.messages:
        last = count(await client.xread({order.stream: last}, options), tally)[-1]


async def group(client, order, tally):
    options = StreamReadGroupOptions(count=order.batch)
    while tally.messages < order.messages:
        reply = await client.xreadgroup({order.stream: ">"}, GROUP, CONSUMER, options)
        await client.xack(order.stream, GROUP, count(reply, tally))


async def produce(client, order, tally):
    while tally.messages < order.messages:
        size = min(PIPELINE, order.messages - tally.messages)
        batch = Batch(is_atomic=False)
        for number in range(tally.messages + 1, tally.messages + size + 1):
            batch.xadd(order.stream, list(fields(number).items()))
        await client.exec(batch, raise_on_error=True)
        tally.messages += size


async def main():
    order, tally = Order(), Tally()
    addresses = [NodeAddress(order.host, order.port)]
    client = await GlideClient.create(GlideClientConfiguration(addresses, request_timeout=10_000))
    await client.ping()
    run = Run()
    await {"fan-out": fan_out, "group": group, "produce": produce}[order.mode](client, order, tally)
    run.report(tally)
    await client.close()


if __name__ == "__main__":
    asyncio.run(main())
