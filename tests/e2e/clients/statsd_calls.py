"""Every call of the client `statsd`, known totals: python statsd_calls.py TRANSPORT ADDRESS MODE COUNT.

TRANSPORT is unixstream (ADDRESS is a path), tcp or udp (host:port). MODE is single (a line at a time) or packed (in pipelines). Prints, as
JSON, what only the client knows: how many calls its sampling let through.
"""

import contextlib
import datetime
import json
import random
import sys
import time

import statsd

transport, address, mode, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if transport == "unixstream":
    client = statsd.UnixSocketStatsClient(address, prefix="st")
else:
    host, port = address.rsplit(":", 1)
    client = {"tcp": statsd.TCPStatsClient, "udp": statsd.StatsClient}[transport](host, int(port), prefix="st")


def batch():
    """What is sent together: a pipeline, or each call by itself."""
    return client.pipeline() if mode == "packed" else contextlib.nullcontext(client)


for number in range(count):
    with batch() as to:
        to.incr("calls")
        to.incr("pairs", 2)
        to.decr("falls")
        to.gauge("depth", number)
        to.gauge("moves", 3, delta=True)
        to.gauge("moves", -1, delta=True)
        to.gauge("below", -number)
        to.timing("took", number % 10)
    if transport == "udp" and number % 20 == 19:
        time.sleep(0.002)  # nothing holds this sender up, and the kernel drops what nobody has read

random.seed(7)
sampled = sum(random.random() <= 0.5 for _ in range(count))
random.seed(7)
for _ in range(count):
    client.incr("sampled", rate=0.5)
random.seed(7)
for _ in range(count):
    client.timing("weighed", 4, rate=0.5)

client.timing("delta", datetime.timedelta(milliseconds=250))
with client.timer("timed"):
    pass
client.timer("decorated")(lambda: None)()

# All of a set's members within one interval, which the test has set to 5 s.
while time.time() % 5 > 2:
    time.sleep(0.01)
with batch() as to:
    for number in range(30):
        to.set("users", number % 3)
client.close()
print(json.dumps({"sampled": sampled}))
