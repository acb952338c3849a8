"""Pushes known totals with Datadog's own client: python datadog_client.py SOCKET_PATH COUNT.

The client drops what the socket does not take at once, unless it may wait; what it dropped is said at the end, so that the
test knows that a wrong total is not the client's.
"""

import sys

from datadog.dogstatsd.base import DogStatsd

path, count = sys.argv[1], int(sys.argv[2])
client = DogStatsd(socket_path=path, constant_tags=["shop:north"], socket_timeout=5, flush_interval=0.05)

for number in range(count):
    client.increment("client.orders", tags=["kind:online"])
    client.histogram("client.size", number % 10)
    client.gauge("client.depth", number)
client.increment("client.sampled", 3, sample_rate=1)
client.flush()
client.wait_for_pending()
client.stop()
print("dropped", client.packets_dropped_queue + client.packets_dropped_writer)
