/*
 * deflate: compresses stdin to stdout as gzip (RFC 1952 around the DEFLATE of
 * RFC 1951) with zlib, through fixed buffers, whatever the size of the input.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "zlib.h"

static unsigned char in[64 * 1024];
static unsigned char out[64 * 1024];

static int fail(const char *message)
{
    write(STDERR_FILENO, message, strlen(message));
    return 1;
}

static int put(const unsigned char *from, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDOUT_FILENO, from, size);
        if (done > 0) {
            from += done;
            size -= (size_t)done;
        } else if (done == 0 || (errno != EINTR && errno != EAGAIN)) {
            return 0;
        }
    }
    return 1;
}

int main(void)
{
    z_stream z = {0};
    /* 15 bits of window; 16 more ask for the gzip container. */
    if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return fail("deflate: no memory for the compressor\n");
    }
    for (int flush = Z_NO_FLUSH; flush != Z_FINISH;) {
        ssize_t got = read(STDIN_FILENO, in, sizeof in);
        if (got < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                continue;
            }
            return fail("deflate: cannot read stdin\n");
        }
        flush = got == 0 ? Z_FINISH : Z_NO_FLUSH;
        z.next_in = in;
        z.avail_in = (uInt)got;
        do {
            z.next_out = out;
            z.avail_out = sizeof out;
            deflate(&z, flush);
            if (!put(out, sizeof out - z.avail_out)) {
                return fail("deflate: cannot write stdout\n");
            }
        } while (z.avail_out == 0);
    }
    return 0;
}
