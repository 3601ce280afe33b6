"""A way between a client and a server that a test makes long, or counts the connections of."""
import queue
import socket
import threading
import time


class Relay:
    """The way to a server, on which every byte takes `delay` seconds in either direction. A context."""

    def __init__(self, address, delay=0.0):
        host, _, port = address.rpartition(":")
        self.server, self.delay = (host, int(port)), delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets = [self.listener]
        self.connections = 0  # that were made so far

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()

    def accept(self):
        try:
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.server)
                self.connections += 1
                self.sockets += [client, server]
                self.carry(client, server)
                self.carry(server, client)
        except OSError:  # closed: the test is over
            pass

    def carry(self, source, destination):
        under_way = queue.Queue()

        def receive():
            data = b"something"
            while data:
                try:
                    data = source.recv(65536)
                except OSError:
                    data = b""
                under_way.put((time.monotonic() + self.delay, data))

        def deliver():
            try:
                while True:
                    when, data = under_way.get()
                    time.sleep(max(0.0, when - time.monotonic()))
                    if not data:
                        destination.shutdown(socket.SHUT_WR)
                        return
                    destination.sendall(data)
            except OSError:
                pass

        for target in (receive, deliver):
            threading.Thread(target=target, daemon=True).start()
