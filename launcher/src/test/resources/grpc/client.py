"""Calls the functions of server.py and says what came, a line for each call. argv: the node's address, the function, the host to ask for, what to call."""
import os
import sys
import threading
import time

import grpc

address, function, host, *cases = sys.argv[1:]
# What every answer of an HTTP server has, and every gRPC answer of the node.
USUAL = {"content-length", "date", "instar-request-id"}


def called(call):
    """The result, or how the call failed."""
    try:
        return call()
    except grpc.RpcError as error:
        trailers = dict(error.trailing_metadata() or ())
        return "%s: %s [%s]" % (error.code().name, trailers.get("instar-error") or error.details(), ",".join(sorted(trailers.keys() - USUAL)))


def unary(channel, method, message, **options):
    call = channel.unary_unary("/test.Greeter/" + method)
    return called(lambda: call(message, **options).decode())


def stream(channel, method, message, **options):
    messages = []
    end = called(lambda: messages.extend(channel.unary_stream("/test.Greeter/" + method)(message, **options)) or "OK")
    return "%d %s %s" % (len(messages), b",".join(messages)[-40:].decode(), end)


def echo(channel, metadata):
    response, call = channel.unary_unary("/test.Greeter/Echo").with_call(b"hello", metadata=metadata + (("given", "a b"),))
    begun, ended = dict(call.initial_metadata()), dict(call.trailing_metadata())
    return "%s begun=%s error=%s bytes=%s ended=%s id=%s" % (response.decode(), begun.get("begun"), begun.get("instar-error"), begun.get("bytes-bin"), ended.get("ended"),
        ended.get("instar-request-id"))


def chat(channel, metadata):
    """Each message is sent when the answer to the one before it has come."""
    turn = threading.Semaphore(1)
    answers = []

    def messages():
        for word in (b"one", b"two", b"three"):
            turn.acquire()
            yield word

    for answer in channel.stream_stream("/test.Greeter/Chat")(messages(), metadata=metadata):
        answers.append(answer.decode())
        turn.release()
    return ",".join(answers)


def cancel(channel, metadata):
    call = channel.unary_stream("/test.Greeter/Late")(b"", metadata=metadata)
    first = next(call)
    call.cancel()
    return first.decode() + " " + unary(channel, "Echo", b"again", metadata=metadata)


def many(channel, metadata):
    call = channel.unary_unary("/test.Greeter/Echo")
    started = time.time()
    right = sum(call(b"%d" % i, metadata=metadata) == b"%d" % i for i in range(500))
    print("%d calls in %.2f s" % (right, time.time() - started), file=sys.stderr)
    return str(right)


metadata = (("instar-function", function),) if function else ()
if "GRPC_TOKEN" in os.environ:
    metadata += (("authorization", "Bearer " + os.environ["GRPC_TOKEN"]),)
CASES = {
    "error": lambda c: unary(c, "Echo", b"", metadata=metadata).split(" [")[0],
    "echo": lambda c: echo(c, metadata),
    "names": lambda c: unary(c, "Names", b"", metadata=metadata + (("mine", "x"),) + (() if "GRPC_TOKEN" in os.environ else (("authorization", "Bearer mine"),))),
    "fail": lambda c: unary(c, "Fail", b"", metadata=metadata),
    "remaining": lambda c: unary(c, "Remaining", b"", metadata=metadata, timeout=20),
    "slow": lambda c: unary(c, "Slow", b"", metadata=metadata),
    "slow-timeout": lambda c: unary(c, "Slow", b"", metadata=metadata, timeout=1).split(":")[0],
    "end": lambda c: unary(c, "End", b"", metadata=metadata),
    "missing": lambda c: unary(c, "None", b"", metadata=metadata),
    "count": lambda c: stream(c, "Count", b"5", metadata=metadata),
    "late": lambda c: stream(c, "Late", b"", metadata=metadata),
    "breaks": lambda c: stream(c, "Breaks", b"", metadata=metadata),
    "big": lambda c: stream(c, "Big", b"100", metadata=metadata),
    "add": lambda c: called(lambda: c.stream_unary("/test.Greeter/Add")((b"%d" % i for i in range(101)), metadata=metadata).decode()),
    "large": lambda c: str(len(unary(c, "Echo", b"y" * 3000000, metadata=metadata))),
    "chat": lambda c: chat(c, metadata),
    "cancel": lambda c: cancel(c, metadata),
    "many": lambda c: many(c, metadata),
}
options = (("grpc.enable_retries", 0), *((("grpc.default_authority", host),) if host else ()))
if "GRPC_CA" in os.environ:
    with open(os.environ["GRPC_CA"], "rb") as trusted:
        credentials = grpc.ssl_channel_credentials(trusted.read())
    channel = grpc.secure_channel(address, credentials, options)
else:
    channel = grpc.insecure_channel(address, options)
with channel:
    for case in cases:
        print(case, CASES[case](channel), flush=True)
