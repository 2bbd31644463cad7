/*
 * thumbnail: a PNG or JPEG on stdin becomes a PNG on stdout whose longer side
 * is at most 128 pixels. The aspect ratio is kept; a picture that is small
 * enough already keeps its size. Each pixel is the mean of the area it covers
 * (box filter), with transparent pixels weighing less.
 *
 * Anything that is not a readable picture: a message on stderr, exit code 1.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_SIMD
#define STBI_NO_THREAD_LOCALS
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ASSERT(x) ((void)0)
#include <stb/stb_image.h>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STBIW_ASSERT(x) ((void)0)
#include <stb/stb_image_write.h>

#define MAX_SIDE 128
#define MAX_INPUT (16 * 1024 * 1024)

static void say(const char *text)
{
    write(STDERR_FILENO, text, strlen(text));
}

static int fail(const char *reason)
{
    say("thumbnail: ");
    say(reason);
    say("\n");
    return 1;
}

/* All of stdin, or NULL with *reason set. */
static uint8_t *readAll(size_t *size, const char **reason)
{
    size_t capacity = 64 * 1024;
    uint8_t *data = malloc(capacity);

    *size = 0;
    while (data != NULL) {
        ssize_t got = read(STDIN_FILENO, data + *size, capacity - *size);
        if (got < 0) {
            if (errno == EINTR || errno == EAGAIN) {
                continue;
            }
            *reason = "cannot read stdin";
            return NULL;
        }
        if (got == 0) {
            return data;
        }
        *size += (size_t)got;
        if (*size == capacity) {
            if (capacity >= MAX_INPUT) {
                *reason = "the input is over 16 MiB";
                return NULL;
            }
            capacity *= 2;
            data = realloc(data, capacity);
        }
    }
    *reason = "out of memory";
    return NULL;
}

/* The overlap of output cell `cell` and source pixel `pixel`, on an axis where
   source pixels are `to` long and output cells are `from` long. */
static uint32_t overlap(uint32_t cell, uint32_t pixel, uint32_t from, uint32_t to)
{
    uint32_t start = cell * from > pixel * to ? cell * from : pixel * to;
    uint32_t end = (cell + 1) * from < (pixel + 1) * to
        ? (cell + 1) * from : (pixel + 1) * to;
    return end - start;
}

static void shrink(const uint8_t *src, uint32_t sw, uint32_t sh,
                   uint8_t *dst, uint32_t dw, uint32_t dh, uint32_t channels)
{
    uint32_t colours = channels == 2 || channels == 4 ? channels - 1 : channels;
    int hasAlpha = colours != channels;
    uint64_t area = (uint64_t)sw * sh; /* of one output cell, by construction */

    for (uint32_t dy = 0; dy < dh; dy++) {
        uint32_t y0 = dy * sh / dh, y1 = ((dy + 1) * sh + dh - 1) / dh;
        for (uint32_t dx = 0; dx < dw; dx++, dst += channels) {
            uint32_t x0 = dx * sw / dw, x1 = ((dx + 1) * sw + dw - 1) / dw;
            uint64_t sum[3] = {0}, alphaSum = 0;

            for (uint32_t y = y0; y < y1; y++) {
                uint64_t wy = overlap(dy, y, sh, dh);
                const uint8_t *pixel = src + ((size_t)y * sw + x0) * channels;
                for (uint32_t x = x0; x < x1; x++, pixel += channels) {
                    uint64_t weight = wy * overlap(dx, x, sw, dw);
                    if (hasAlpha) {
                        weight *= pixel[colours];
                        alphaSum += weight;
                    }
                    for (uint32_t c = 0; c < colours; c++) {
                        sum[c] += weight * pixel[c];
                    }
                }
            }
            uint64_t total = hasAlpha ? alphaSum : area;
            for (uint32_t c = 0; c < colours; c++) {
                dst[c] = total == 0 ? 0 : (uint8_t)((sum[c] + total / 2) / total);
            }
            if (hasAlpha) {
                dst[colours] = (uint8_t)((alphaSum + area / 2) / area);
            }
        }
    }
}

static uint32_t scaled(uint32_t side, uint32_t longest)
{
    uint32_t result = (side * MAX_SIDE + longest / 2) / longest;
    return result == 0 ? 1 : result;
}

static int writeAll(const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(STDOUT_FILENO, data, size);
        if (put > 0) {
            data += put;
            size -= (size_t)put;
        } else if (put == 0 || (errno != EINTR && errno != EAGAIN)) {
            return -1;
        }
    }
    return 0;
}

int main(void)
{
    const char *reason = "";
    size_t size;
    uint8_t *input = readAll(&size, &reason);
    if (input == NULL) {
        return fail(reason);
    }
    if (size == 0) {
        return fail("the input is empty");
    }

    int width, height, channels;
    uint8_t *pixels = stbi_load_from_memory(input, (int)size, &width, &height,
                                            &channels, 0);
    if (pixels == NULL) {
        if (strcmp(stbi_failure_reason(), "outofmem") == 0) {
            return fail("the picture is too large for 64 MiB of memory");
        }
        say("thumbnail: not a readable PNG or JPEG: ");
        say(stbi_failure_reason());
        say("\n");
        return 1;
    }
    free(input);

    uint32_t sw = (uint32_t)width, sh = (uint32_t)height;
    uint32_t longest = sw > sh ? sw : sh;
    uint32_t dw = sw, dh = sh;
    uint8_t *result = pixels;

    if (longest > MAX_SIDE) {
        dw = scaled(sw, longest);
        dh = scaled(sh, longest);
        result = malloc((size_t)dw * dh * (size_t)channels);
        if (result == NULL) {
            return fail("out of memory");
        }
        shrink(pixels, sw, sh, result, dw, dh, (uint32_t)channels);
    }

    int pngSize;
    uint8_t *png = stbi_write_png_to_mem(result, (int)dw * channels, (int)dw,
                                         (int)dh, channels, &pngSize);
    if (png == NULL) {
        return fail("out of memory");
    }
    if (writeAll(png, (size_t)pngSize) != 0) {
        return fail("cannot write stdout");
    }
    return 0;
}
