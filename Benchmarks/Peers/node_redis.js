// node-redis, doing what the C baseline does.
//
//     node node_redis.js MODE STREAM MESSAGES SECONDS COUNT PAYLOAD CONSUMERS

'use strict';

const { createClient } = require('redis');

const ITEM = 'an-item-of-forty-characters-0123456789ab';
const PAYLOAD = 'a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr';
const TASKS = 256;
const TWO_32 = 2 ** 32;

// The same as Tally.swift. The checksum is kept in halves of 32 bits, since BigInt would cost more than the client.
const tally = { messages: 0, bytes: 0, high: 0, low: 0 };

function countNumber(number) {
    // number * 0x9E3779B97F4A7C15, in limbs of 16 bits, so that no product is above 2^53.
    const a = number * 0x7c15;
    const b = number * 0x7f4a + Math.floor(a / 65536);
    const c = number * 0x79b9 + Math.floor(b / 65536);
    const d = number * 0x9e37 + Math.floor(c / 65536);
    const low = (b % 65536) * 65536 + (a % 65536);
    const high = (d % 65536) * 65536 + (c % 65536);
    tally.low += (low ^ high) >>> 0;
    tally.high += high;
    if (tally.low >= TWO_32) {
        tally.low -= TWO_32;
        tally.high += 1;
    }
    tally.high %= TWO_32;
}

function countEntries(reply) {
    const { messages } = reply[0];
    for (const { message } of messages) {
        let isFirst = true;
        for (const name in message) {
            const value = message[name];
            tally.bytes += value.length;
            if (isFirst) countNumber(Number(value));
            isFirst = false;
        }
    }
    tally.messages += messages.length;
    return messages;
}

async function fanOut(client, stream, total, count) {
    let id = '0';
    while (tally.messages < total) {
        id = countEntries(await client.xRead({ key: stream, id }, { COUNT: count })).at(-1).id;
    }
}

async function group(client, stream, total, count) {
    while (tally.messages < total) {
        const reply = await client.xReadGroup('bench', 'peer', { key: stream, id: '>' }, { COUNT: count });
        await client.xAck(stream, 'bench', countEntries(reply).map((entry) => entry.id));
    }
}

async function produce(client, stream, total) {
    const task = async (first) => {
        for (let number = first; number <= total; number += TASKS) {
            await client.xAdd(stream, '*', { number: String(number), item: ITEM, payload: PAYLOAD });
            tally.messages += 1;
        }
    };
    await Promise.all(Array.from({ length: TASKS }, (_, index) => task(index + 1)));
}

async function main() {
    const [mode, stream, messages, seconds, count, payload, consumers] = process.argv.slice(2);
    if (Number(payload) !== PAYLOAD.length || Number(consumers) !== 1) {
        throw new Error('peers know one payload and one consumer');
    }
    setTimeout(() => process.abort(), Number(seconds) * 1000).unref();
    const client = createClient({ url: process.env.REDIS_URL });
    await client.connect();
    await client.ping();
    const start = process.hrtime.bigint();
    const cpuStart = process.cpuUsage();
    await { 'fan-out': fanOut, group, produce }[mode](client, stream, Number(messages), Number(count));
    const cpu = process.cpuUsage(cpuStart);
    const report = {
        seconds: Number(process.hrtime.bigint() - start) / 1e9,
        cpuSeconds: (cpu.user + cpu.system) / 1e6,
        messages: tally.messages,
        bytes: tally.bytes,
        checksum: String(BigInt(tally.high) * BigInt(TWO_32) + BigInt(tally.low)),
    };
    console.log(JSON.stringify(report));
    await client.quit();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
