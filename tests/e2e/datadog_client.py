"""Pushes known totals with Datadog's own client: python datadog_client.py SOCKET_PATH COUNT.

The client drops what the socket does not take at once, unless it may wait; what it dropped is said at the end, so that the
test knows that a wrong total is not the client's.
"""

import sys

from datadog.dogstatsd.base import DogStatsd

path, count = sys.argv[1], int(sys.argv[2])
client = DogStatsd(
    socket_path=path,
    constant_tags=["shop:north"],
    disable_buffering=False,  # many lines in one datagram
    socket_timeout=5,  # waits for a full socket instead of dropping
    telemetry_min_flush_interval=3600,  # its own count of drops is reset with every flush
)

for number in range(count):
    client.increment("client.orders", tags=["kind:online"])
    client.histogram("client.size", number % 10)
    client.gauge("client.depth", number)
client.increment("client.packed", 3)
client.flush()
print("dropped", client.packets_dropped)
