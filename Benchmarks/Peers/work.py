"""What the Python peers share: the arguments, the tally and the report of the C baseline."""

import json
import os
import resource
import signal
import sys
import time
from urllib.parse import urlparse

GROUP, CONSUMER, PIPELINE = "bench", "peer", 256
ITEM = "an-item-of-forty-characters-0123456789ab"
PAYLOAD = "a-payload-of-sixty-two-characters-0123456789abcdefghijklmnopqr"
MASK = (1 << 64) - 1


class Order:
    """MODE STREAM MESSAGES SECONDS COUNT PAYLOAD CONSUMERS"""

    def __init__(self):
        mode, stream, messages, seconds, batch, payload, consumers = sys.argv[1:8]
        if int(payload) != len(PAYLOAD) or int(consumers) != 1:
            sys.exit("peers know one payload and one consumer")
        self.mode, self.stream = mode, stream
        self.messages, self.batch = int(messages), int(batch)
        url = urlparse(os.environ["REDIS_URL"])
        self.host, self.port = url.hostname, url.port or 6379
        signal.alarm(int(seconds))


class Tally:
    """The same as Tally.swift."""

    def __init__(self):
        self.messages = self.bytes = self.checksum = 0

    def count(self, values):
        """Takes the values of an entry's fields, the first of which is its number."""
        first = True
        for value in values:
            self.bytes += len(value)
            if first:
                mixed = int(value) * 0x9E3779B97F4A7C15 & MASK
                self.checksum += mixed ^ (mixed >> 32)
                first = False
        self.messages += 1


class Run:
    """Measures from its making on, and prints the report."""

    def __init__(self):
        self.start, self.cpu_start = time.monotonic(), self.cpu()

    @staticmethod
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def report(self, tally):
        print(
            json.dumps(
                {
                    "seconds": time.monotonic() - self.start,
                    "cpuSeconds": self.cpu() - self.cpu_start,
                    "messages": tally.messages,
                    "bytes": tally.bytes,
                    "checksum": str(tally.checksum & MASK),
                }
            )
        )


def fields(number):
    return {"number": str(number), "item": ITEM, "payload": PAYLOAD}
