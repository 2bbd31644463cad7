/* What POSIX programs do with files, through wasi-libc. The image has /file ("hello\n"), /dir/inner and /link -> file. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static void stdio_files(void) {
  char line[64];
  FILE *f = fopen("/file", "r");
  CHECK(f);
  CHECK(fgets(line, sizeof line, f) && strcmp(line, "hello\n") == 0);
  CHECK(!fgets(line, sizeof line, f) && feof(f));
  fclose(f);

  f = fopen("/new.txt", "w");
  CHECK(f);
  for (int i = 0; i < 10000; i++) CHECK(fprintf(f, "line %d\n", i) > 0);
  CHECK(ftell(f) == 98890);
  CHECK(fclose(f) == 0);
  f = fopen("/new.txt", "r+");
  CHECK(fseek(f, 10, SEEK_SET) == 0 && fputs("XYZ", f) >= 0);
  CHECK(fseek(f, -10, SEEK_END) == 0 && fgets(line, sizeof line, f));
  CHECK(strcmp(line, "line 9999\n") == 0);
  rewind(f);
  CHECK(fgets(line, sizeof line, f) && fgets(line, sizeof line, f) && strcmp(line, "linXYZ\n") == 0);
  fclose(f);
  f = fopen("/new.txt", "a");
  CHECK(fputs("end", f) >= 0);
  fclose(f);
  CHECK(!fopen("/new.txt", "wx") && errno == EEXIST);
  CHECK(!fopen("/none", "r") && errno == ENOENT);
  CHECK(!fopen("/dir", "w") && errno == EISDIR);
  CHECK(remove("/new.txt") == 0);
}

static void directories(void) {
  CHECK(mkdir("/made", 0777) == 0);
  FAILS(mkdir("/made", 0777), EEXIST);
  FAILS(rmdir("/dir"), ENOTEMPTY);
  char name[64];
  for (int i = 0; i < 500; i++) {
    sprintf(name, "/made/entry-with-a-name-%d", i);
    int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0666);
    CHECK(fd > 2 && close(fd) == 0);
  }
  DIR *d = opendir("/made");
  CHECK(d);
  int n = 0, files = 0;
  for (struct dirent *e; (e = readdir(d)); n++) {
    if (e->d_type == DT_REG) {
      files++;
      CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
    } else {
      CHECK(e->d_type == DT_DIR && e->d_name[0] == '.');
    }
  }
  CHECK(n == 502 && files == 500);
  closedir(d);
  CHECK(rmdir("/made") == 0);
  CHECK(!opendir("/file") && errno == ENOTDIR);
}

static void names(void) {
  struct stat st, other;
  CHECK(stat("/link", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 6 && st.st_nlink == 1);
  CHECK(lstat("/link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 4);
  char target[16] = {0};
  CHECK(readlink("/link", target, sizeof target) == 4 && strcmp(target, "file") == 0);
  CHECK(symlink("../file", "/dir/up") == 0);
  CHECK(stat("/dir/up", &st) == 0 && S_ISREG(st.st_mode));
  CHECK(symlink("nowhere", "/dangling") == 0);
  FAILS(stat("/dangling", &st), ENOENT);
  CHECK(symlink("cycle", "/cycle") == 0);
  FAILS(stat("/cycle", &st), ELOOP);
  CHECK(link("/file", "/hard") == 0);
  CHECK(stat("/file", &st) == 0 && stat("/hard", &other) == 0);
  CHECK(st.st_ino == other.st_ino && st.st_dev == other.st_dev && st.st_nlink == 2);
  CHECK(rename("/hard", "/dir/moved") == 0);
  FAILS(stat("/hard", &st), ENOENT);
  CHECK(rename("/dir", "/folder") == 0);
  CHECK(stat("/folder/moved", &st) == 0 && st.st_ino == other.st_ino);
  FAILS(rename("/folder", "/folder/inside"), EINVAL);
  FAILS(rename("/file", "/folder"), EISDIR);
  CHECK(unlink("/folder/moved") == 0 && unlink("/cycle") == 0 && unlink("/dangling") == 0);
  FAILS(unlink("/folder"), EISDIR);
  CHECK(access("/file", R_OK) == 0);
}

static void descriptors(void) {
  struct stat st;
  char buf[32] = {0};
  int fd = open("/data", O_CREAT | O_RDWR, 0666);
  CHECK(write(fd, "0123456789", 10) == 10);
  CHECK(pread(fd, buf, 4, 3) == 4 && memcmp(buf, "3456", 4) == 0);
  CHECK(pwrite(fd, "ab", 2, 0) == 2);
  CHECK(lseek(fd, 0, SEEK_CUR) == 10);
  CHECK(ftruncate(fd, 4) == 0 && ftruncate(fd, 6) == 0);
  CHECK(pread(fd, buf, 32, 0) == 6 && memcmp(buf, "ab23\0\0", 6) == 0);
  CHECK(posix_fallocate(fd, 0, 100) == 0);
  CHECK(fstat(fd, &st) == 0 && st.st_size == 100);
  struct timespec times[2] = {{1, 2}, {3, 4}};
  CHECK(futimens(fd, times) == 0);
  CHECK(fstat(fd, &st) == 0 && st.st_atim.tv_sec == 1 && st.st_mtim.tv_sec == 3 && st.st_mtim.tv_nsec == 4);
  CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
  CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0 && (fcntl(fd, F_GETFL) & O_APPEND));
  CHECK(unlink("/data") == 0);
  CHECK(write(fd, "!", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 101);
  CHECK(close(fd) == 0);
  FAILS(close(fd), EBADF);
  fd = open("/file", O_RDONLY);
  FAILS(write(fd, "x", 1), EBADF);
  CHECK(close(fd) == 0);
  FAILS(lseek(0, 0, SEEK_SET), ESPIPE);
  int all[300], n = 0;
  while ((all[n] = open("/file", O_RDONLY)) >= 0) CHECK(++n < 300);
  CHECK(errno == EMFILE);
  while (n > 0) CHECK(close(all[--n]) == 0);
}

static void outside(void) {
  struct stat st;
  CHECK(stat("/../../../../etc/passwd", &st) == -1);
  CHECK(open("../etc/passwd", O_RDONLY) == -1);
  CHECK(symlink("../../etc/passwd", "/escape") == 0);
  CHECK(open("/escape", O_RDONLY) == -1);
  CHECK(unlink("/escape") == 0);
}

int main(void) {
  stdio_files();
  directories();
  names();
  descriptors();
  outside();
  puts("all is well");
  return 0;
}
