"""What a live server says of its own interface, by gRPC's reflection."""
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from command_test import WAIT_S

# What gRPC itself brings.
UNASKED = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def fields(message):
    """[(number, bytes)] of the length-delimited fields of a protobuf message that has no others of weight."""
    def varint(at):
        value = shift = 0
        while True:
            value |= (message[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 128:
                return value, at
    out, at = [], 0
    while at < len(message):
        key, at = varint(at)
        size, at = varint(at)
        if key & 7 == 2:
            out.append((key >> 3, message[at:at + size]))
            at += size
    return out


class Contract:
    """The services of a server and their messages, as its reflection tells."""

    def __init__(self, channel):
        self.ask = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        self.pool = descriptor_pool.DescriptorPool()
        listed = dict(self.answer(b"\x3a\x01*"))[6]
        self.services = [dict(fields(service))[1].decode() for _, service in fields(listed)]
        self.added = set()
        for service in set(self.services) - UNASKED:
            self.add(self.files(b"\x22" + bytes([len(service)]) + service.encode()))

    def answer(self, request):
        return fields(next(self.ask(iter([request]), timeout=WAIT_S)))

    def files(self, request):
        return [descriptor_pb2.FileDescriptorProto.FromString(file)
                for _, file in fields(dict(self.answer(request))[4])]

    def add(self, files):
        for file in files:
            if file.name in self.added:
                continue
            self.added.add(file.name)
            for needed in file.dependency:
                if needed not in self.added:
                    self.add(self.files(b"\x1a" + bytes([len(needed)]) + needed.encode()))
            self.pool.Add(file)

    def methods(self):
        """(service, method) of all, with their descriptors."""
        for service in set(self.services) - UNASKED:
            yield from ((service, method) for method in self.pool.FindServiceByName(service).methods)

    def message(self, name, **values):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))(**values)
