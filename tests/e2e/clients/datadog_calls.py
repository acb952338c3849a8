"""Every call of Datadog's own client, known totals: python datadog_calls.py TRANSPORT ADDRESS MODE COUNT.

TRANSPORT is unixgram, unixstream (ADDRESS is a path) or udp (host:port). MODE is single (a datagram or frame a call), packed (as many lines as
fit) or aggregated (the client sums up, and packs values). Prints, as JSON, what only the client knows: how many calls its sampling
let through, and what it dropped.
"""

import json
import random
import sys
import time

from datadog.dogstatsd.base import DogStatsd

transport, address, mode, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
place = {"socket_path": f"{transport}://{address}"}
if transport == "udp":
    host, port = address.rsplit(":", 1)
    place = {"host": host, "port": int(port)}
client = DogStatsd(
    **place,
    constant_tags=["shop:north"],
    disable_buffering=mode == "single",
    disable_aggregation=mode != "aggregated",
    max_metric_samples_per_context=count,
    socket_timeout=5,  # waits for a full socket instead of dropping
    telemetry_min_flush_interval=3600,  # its own count of drops is reset with every flush
)


def flush():
    """Sends what waits: sums that the client keeps do not go with its buffer."""
    if mode == "aggregated":
        client.flush_aggregated_metrics()
    client.flush()


for number in range(count):
    client.increment("dd.calls", tags=["kind:" + "ab"[number % 2]])
    client.increment("dd.pairs", 2)
    client.count("dd.counted", 3)
    client.gauge("dd.depth", number)
    client.histogram("dd.size", number % 10)
    client.distribution("dd.spread", number % 10)
    client.timing("dd.took", number % 10)
    if transport == "udp" and number % 20 == 19:
        time.sleep(0.002)  # nothing holds this sender up, and the kernel drops what nobody has read

random.seed(7)
sampled = sum(random.random() <= 0.5 for _ in range(count))
random.seed(7)
if mode == "aggregated":
    sampled = 0
else:
    for _ in range(count):
        client.increment("dd.sampled", sample_rate=0.5)
        client.decrement("dd.falls")
    flush()
    random.seed(7)
    for _ in range(count):
        client.histogram("dd.weighed", 4, sample_rate=0.5)

stamp = int(time.time())
client.count_with_timestamp("dd.stamped.calls", 5, timestamp=stamp)
client.gauge_with_timestamp("dd.stamped.depth", 7, timestamp=stamp)
with client.timed("dd.timed", use_ms=True):
    pass
with client.distributed("dd.distributed", use_ms=True):
    pass
client.event("Größe geändert", "two\nlines | and a bar", alert_type="error", priority="low", tags=["service:till"], date_happened=stamp)
client.event("deployed", "done", alert_type="success", aggregation_key="deploy", source_type_name="shop", hostname="h")
client.service_check("dd.up", client.CRITICAL, tags=["zone:a"], timestamp=stamp, hostname="h", message="no answer\nm: none at all")
flush()

# All of a set's members within one interval, which the test has set to 5 s.
while time.time() % 5 > 2:
    time.sleep(0.01)
for number in range(30):
    client.set("dd.users", number % 3)
flush()
client.close_socket()
print(json.dumps({"sampled": sampled, "dropped": client.packets_dropped}))
