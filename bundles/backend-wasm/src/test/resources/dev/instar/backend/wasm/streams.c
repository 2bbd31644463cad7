/* Standard streams, arguments, environment, clocks and exit. */
#include "check.h"
#include <poll.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  CHECK(argc == 3 && strcmp(argv[1], "one") == 0);
  CHECK(getenv("GREETING") && !getenv("PATH"));
  CHECK(!isatty(0) && !isatty(1) && !isatty(2));
  struct pollfd ready = {0, POLLIN, 0};
  CHECK(poll(&ready, 1, 1000) == 1 && (ready.revents & POLLIN));
  struct timespec before, after, nap = {0, 2000000};
  CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
  CHECK(nanosleep(&nap, NULL) == 0);
  CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
  CHECK((after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec >= 2000000);
  CHECK(time(NULL) > 1700000000);
  unsigned char random[40] = {0}, zeros[40] = {0};
  CHECK(getentropy(random, sizeof random) == 0 && memcmp(random, zeros, sizeof random) != 0);
  printf("%s, %s: ", getenv("GREETING"), argv[2]);
  int c, n = 0;
  while ((c = getchar()) != EOF) {
    putchar(c);
    n++;
  }
  fprintf(stderr, "copied %d", n);
  exit(7);
}
