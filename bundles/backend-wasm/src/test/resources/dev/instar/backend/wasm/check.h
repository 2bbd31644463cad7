#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the line that was wrong. */
#define CHECK(x) do { if (!(x)) { fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, #x, errno, strerror(errno)); exit(1); } } while (0)
#define FAILS(x, e) do { errno = 0; CHECK((x) == -1); CHECK(errno == (e)); } while (0)
