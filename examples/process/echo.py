"""Answers with its input, as it comes."""
import instar_guest


def handle(call):
    while True:
        piece = call.input.read1(65536)
        if not piece:
            return
        call.output.write(piece)
        call.output.flush()


instar_guest.serve(handle)
