/* Waits far longer than anybody waits for it. */
#include <unistd.h>

int main(void) {
  write(1, "waiting", 7);
  for (;;) sleep(1000);
}
