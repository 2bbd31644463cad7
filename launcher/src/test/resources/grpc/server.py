"""A gRPC server whose messages are plain bytes, so that nothing has to be generated. argv: the port."""
import os
import sys
import time
from concurrent import futures

import grpc


def echo(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((("begun", metadata.get("given", "")), ("instar-error", "forged"), ("bytes-bin", b"\x00\xff")))
    context.set_trailing_metadata((("ended", "yes"), ("instar-request-id", "forged")))
    return request


def names(request, context):
    return ",".join(sorted(key for key, _ in context.invocation_metadata())).encode()


def fail(request, context):
    context.set_trailing_metadata((("why", "because"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "no \u00f6l, 100%")


def remaining(request, context):
    return str(int(context.time_remaining())).encode()


def slow(request, context):
    time.sleep(60)
    return b""


def end(request, context):
    os._exit(3)


def count(request, context):
    for number in range(int(request)):
        yield str(number).encode()


def late(request, context):
    yield b"early"
    time.sleep(60)


def breaks(request, context):
    yield b"one"
    os._exit(4)


def big(request, context):
    for _ in range(int(request)):
        yield b"x" * 65536


def add(requests, context):
    return str(sum(int(request) for request in requests)).encode()


def chat(requests, context):
    for request in requests:
        yield b"re " + request


HANDLERS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Names": grpc.unary_unary_rpc_method_handler(names),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Remaining": grpc.unary_unary_rpc_method_handler(remaining),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
    "End": grpc.unary_unary_rpc_method_handler(end),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Late": grpc.unary_stream_rpc_method_handler(late),
    "Breaks": grpc.unary_stream_rpc_method_handler(breaks),
    "Big": grpc.unary_stream_rpc_method_handler(big),
    "Add": grpc.stream_unary_rpc_method_handler(add),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}

server = grpc.server(futures.ThreadPoolExecutor(4), options=(("grpc.so_reuseport", 0),))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Greeter", HANDLERS),))
if len(sys.argv) > 1:
    server.add_insecure_port("0.0.0.0:" + sys.argv[1])
    server.start()
    server.wait_for_termination()
