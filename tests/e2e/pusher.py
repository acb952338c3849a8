"""One of several processes that push at once: python pusher.py STREAM_PATH DATAGRAM_PATH COUNT.

Sends COUNT orders over the stream and COUNT over datagrams, each worth 1, and COUNT requests over the stream.
"""

import json
import socket
import sys

stream_path, datagram_path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.connect(stream_path)
datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
datagram.connect(datagram_path)


def line(event):
    return json.dumps(event).encode() + b"\n"


for _ in range(count):
    stream.sendall(line({"kind": "count", "name": "pushed", "value": 1, "tags": {"over": "stream"}}))
    stream.sendall(line({"kind": "request", "method": "GET", "route": "/pushed", "status": 200, "duration_ms": 1}))
    # A blocking socket waits while the queue is full: nothing is lost.
    datagram.send(line({"kind": "count", "name": "pushed", "value": 1, "tags": {"over": "datagram"}}))
stream.close()
