/*
 * primes: how many primes are <= N.
 *
 * The input is N in decimal, 0 <= N < 4194304 (white space around it is
 * allowed); the answer is "pi(N)=<count>\n". Any other input: a message on
 * stderr and code 1.
 *
 * The counts come from a table of 16 MiB that _initialize builds, so starting
 * this function is dear and calling it is cheap: a node that keeps started
 * instances, or a snapshot of their memory, answers much sooner than one that
 * starts afresh for every call. The table is zero-filled memory; the module
 * carries none of it.
 */
#include "faasm.h"

#include <unistd.h>

#define LIMIT (4 * 1024 * 1024)

/* While sieving: 1 = composite. Afterwards: primes <= index. */
static int32_t table[LIMIT];

__attribute__((constructor)) static void buildTable(void)
{
    table[0] = table[1] = 1;
    for (int32_t p = 2; p * p < LIMIT; p++) {
        if (table[p] == 0) {
            for (int32_t multiple = p * p; multiple < LIMIT; multiple += p) {
                table[multiple] = 1;
            }
        }
    }
    int32_t count = 0;
    for (int32_t n = 0; n < LIMIT; n++) {
        count += 1 - table[n];
        table[n] = count;
    }
}

static int isSpace(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int badInput(void)
{
    static const char message[] =
        "primes: the input must be a decimal number from 0 to 4194303\n";
    write(STDERR_FILENO, message, sizeof message - 1);
    return 1;
}

static uint8_t *putText(uint8_t *to, const char *text)
{
    while (*text != '\0') {
        *to++ = (uint8_t)*text++;
    }
    return to;
}

static uint8_t *putNumber(uint8_t *to, int32_t number)
{
    uint8_t digits[10];
    int count = 0;

    do {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

int exec(struct FaasmMemory *memory)
{
    const uint8_t *at = memory->input;
    const uint8_t *end = at + memory->inputSize;
    int32_t n = 0;

    while (at < end && isSpace(*at)) {
        at++;
    }
    while (end > at && isSpace(end[-1])) {
        end--;
    }
    if (at == end) {
        return badInput();
    }
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return badInput();
        }
        n = n * 10 + (*at - '0');
        if (n >= LIMIT) {
            return badInput();
        }
    }

    uint8_t *out = putText(memory->output, "pi(");
    out = putNumber(out, n);
    out = putText(out, ")=");
    out = putNumber(out, table[n]);
    out = putText(out, "\n");
    memory->outputSize = (int32_t)(out - memory->output);
    return 0;
}
