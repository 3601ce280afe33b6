"""Messages of which the last byte never comes: no handler sees them, no token is looked at, and yet they take memory.

    half_sent_messages_test.py --command PROGRAM --server PROGRAM --models DIRECTORY [unittest's arguments]
"""
import collections
import pathlib
import re
import socket
import struct
import time

import kserve_testing  # Before gRPC, whose environment it sets.

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from command_test import WAIT_S
from kserve_testing import MODEL, KserveTest

MIB = 1 << 20
MESSAGE = 60 * MIB
STREAMS = 60


class HalfSender:
    """One connection that opens calls and sends all but the last byte of each message, as far as it may."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), WAIT_S)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.http.initiate_connection()
        self.resets = collections.Counter()  # of calls by HTTP/2's error code
        self.left = {}  # bytes by call

    def open(self):
        call = self.http.get_next_available_stream_id()
        self.http.send_headers(call, [(":method", "POST"), (":scheme", "http"), (":authority", "test"),
                                      (":path", "/calserve.v1.PredictionService/Predict"),
                                      ("content-type", "application/grpc"), ("te", "trailers")])
        self.http.send_data(call, struct.pack(">BI", 0, MESSAGE))
        self.left[call] = MESSAGE - 1

    def send(self, seconds):
        """For so long, or until there is no more to send."""
        end = time.monotonic() + seconds
        while any(self.left.values()) and time.monotonic() < end:
            sent = False
            for call, left in list(self.left.items()):
                try:
                    size = min(left, self.http.local_flow_control_window(call), self.http.max_outbound_frame_size)
                except h2.exceptions.StreamClosedError:
                    continue
                if size > 0:
                    self.http.send_data(call, bytes(size))
                    self.left[call] -= size
                    sent = True
            self.socket.sendall(self.http.data_to_send())
            self.receive(0.0001 if sent else 0.1)

    def receive(self, seconds):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except (TimeoutError, BlockingIOError):
            return
        finally:
            self.socket.settimeout(WAIT_S)
        for event in self.http.receive_data(data):
            if isinstance(event, (h2.events.StreamReset, h2.events.StreamEnded)):
                self.left.pop(event.stream_id, None)
            if isinstance(event, h2.events.StreamReset):
                self.resets[event.error_code] += 1
        self.socket.sendall(self.http.data_to_send())


class HalfSent(KserveTest):
    server_flags = ["--grpc-max-received-bytes", "64MiB"]

    def memory(self):
        """Of the server, in MiB."""
        status = pathlib.Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1024

    def test_they_take_what_they_may_and_others_are_answered(self):
        before = self.memory()
        sender = HalfSender(self.address)
        for _ in range(STREAMS):
            sender.open()
        sender.send(20)
        self.assertLess(self.memory() - before, 1500, "of 3600 MiB that were to be sent")
        self.assertGreater(sender.resets[h2.errors.ErrorCodes.ENHANCE_YOUR_CALM], 0)
        # Those that are left still hold what they sent.
        answer = self.client.infer(MODEL, [self.input(self.tensors[:1])], client_timeout=WAIT_S)
        self.assertEqual(answer.as_numpy("probabilities").shape, (1, 10))
        sender.socket.close()


if __name__ == "__main__":
    kserve_testing.main()
