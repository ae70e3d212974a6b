/* Loaded into culvertd (LD_PRELOAD): writes to $SYNCED_LOG what a crash of the machine cannot take from $SYNCED_DIRECTORY any more,
 * a line for each fdatasync(2) and fsync(2) that was done:
 *
 *     file INODE BYTES             so much of a file
 *     directory INODE=NAME ...     these names
 *
 * While there is a file $SYNCED_FAILS, the disk is broken.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_ours(int fd) {
  const char *directory = getenv("SYNCED_DIRECTORY");
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (directory == NULL || n < 0) return 0;
  path[n] = 0;
  return strncmp(path, directory, strlen(directory)) == 0;
}

/* What is there before the call: of what comes meanwhile nobody knows. */
static void describe(int fd, char *line, size_t room) {
  struct stat st;
  if (fstat(fd, &st) != 0) return;
  if (S_ISREG(st.st_mode)) {
    snprintf(line, room, "file %lu %ld\n", (unsigned long)st.st_ino, (long)st.st_size);
    return;
  }
  DIR *directory = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY));
  if (directory == NULL) return;
  size_t used = (size_t)snprintf(line, room, "directory");
  for (struct dirent *entry; (entry = readdir(directory)) != NULL && used < room - 300;)
    if (entry->d_name[0] != '.')
      used += (size_t)snprintf(line + used, room - used, " %lu=%s", (unsigned long)entry->d_ino, entry->d_name);
  snprintf(line + used, room - used, "\n");
  closedir(directory);
}

static int synced(const char *name, int fd) {
  static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
  static char line[1 << 20];
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  const int ours = is_ours(fd);
  if (!ours) return real(fd);
  const char *fails = getenv("SYNCED_FAILS");
  if (fails != NULL && access(fails, F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  pthread_mutex_lock(&one);
  line[0] = 0;
  describe(fd, line, sizeof line);
  const int result = real(fd);
  const char *log = getenv("SYNCED_LOG");
  if (result == 0 && log != NULL) {
    const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (write(out, line, strlen(line)) < 0) abort();
    close(out);
  }
  pthread_mutex_unlock(&one);
  return result;
}

int fdatasync(int fd) { return synced("fdatasync", fd); }
int fsync(int fd) { return synced("fsync", fd); }
