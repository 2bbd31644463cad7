"""The functions of the conformance suite (dev.instar.tck.sandbox.Fixture)."""
import os
import sys
import time

import instar_guest

count = 0
seed = os.urandom(16)


def echo(call):
    while True:
        piece = call.input.read1(65536)
        if not piece:
            return
        call.output.write(piece)


def slow_reader(call):
    while True:
        piece = call.input.read1(3)
        if not piece:
            return
        call.output.write(piece)
        call.output.flush()


def ignore_input(call):
    call.output.write(b"ignored")


def trap(call):
    os.abort()


def fail(call):
    sys.exit(7)


def spin(call):
    while True:
        pass


def sleep(call):
    time.sleep(3600)


def recurse(call):
    recurse(call)


def flood(call):
    while True:
        call.output.write(b"x" * 65536)


def log(call):
    print(call.input.read().decode())
    call.output.write(b"logged")


def counter(call):
    global count
    count += 1
    call.output.write(b"%d" % count)


def drawn(call):
    call.output.write(seed)


def env(call):
    call.output.write(os.environb.get(call.input.read(), b""))


def serve(name):
    instar_guest.serve(globals()[name.lower()])
