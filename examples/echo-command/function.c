/*
 * echo-command: copies stdin to stdout through one fixed buffer, so that its
 * memory does not grow with the input.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

static char buffer[64 * 1024];

static int fail(const char *message)
{
    write(STDERR_FILENO, message, strlen(message));
    return 1;
}

int main(void)
{
    for (;;) {
        ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
        if (got == 0) {
            return 0;
        }
        if (got < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                continue;
            }
            return fail("echo-command: cannot read stdin\n");
        }
        for (ssize_t done = 0; done < got;) {
            ssize_t put = write(STDOUT_FILENO, buffer + done, (size_t)(got - done));
            if (put > 0) {
                done += put;
            } else if (put == 0 || (errno != EINTR && errno != EAGAIN)) {
                return fail("echo-command: cannot write stdout\n");
            }
        }
    }
}
