/* Between the program and the C library: makes chosen file operations fail, slow or short, and the hour another one.
 * What is to happen stands in a file that both sides map; tests/faults/disk_shim.rs writes it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, RENAME = 16, READ = 32 };

struct control {
    uint32_t kinds;   /* which operations are counted */
    uint32_t from;    /* the first of them that fails, from 1; 0: none */
    uint32_t upto;    /* the last that fails */
    uint32_t error;   /* how it fails; 0: half of it is written, and then there is no room */
    uint32_t seen;    /* how many were counted */
    uint32_t failed;  /* how many failed */
    uint32_t slow_ms; /* how long each sync takes */
    uint32_t lose;    /* a failed sync loses what was written since the last one */
    int64_t clock_ms; /* how far the wall clock is off */
    char path[256];   /* what the file's path must contain */
};

static struct control *control;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("COPYDESK_FAULTS");
    int fd = path ? REAL(open)(path, O_RDWR) : -1;
    if (fd < 0) return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) control = map;
    close(fd);
}

static int concerns(const char *path) {
    return control->path[0] == 0 || strstr(path, control->path) != NULL;
}

static int fd_concerns(int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return path[0] == '/' && concerns(path);
}

/* Whether this operation fails. */
static int fails(int is_concerned) {
    if (!is_concerned) return 0;
    uint32_t number = __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST);
    if (control->from == 0 || number < control->from || number > control->upto) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    return 1;
}

static int counted(uint32_t kind) { return control && (control->kinds & kind); }

/* What stood where something was written since the last sync. */
struct written { struct written *next; dev_t dev; ino_t ino; off_t at; size_t length; char old[]; };
static struct written *unsynced;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void remember(int fd, off_t at, size_t length) {
    struct stat of;
    if (!control || !control->lose || fstat(fd, &of) != 0 || !fd_concerns(fd)) return;
    struct written *one = calloc(1, sizeof *one + length);
    if (!one) return;
    one->dev = of.st_dev, one->ino = of.st_ino, one->at = at, one->length = length;
    if (REAL(pread64)(fd, one->old, length, at) < 0) { free(one); return; }
    pthread_mutex_lock(&lock);
    one->next = unsynced, unsynced = one;
    pthread_mutex_unlock(&lock);
}

static void forget(int fd, int lost) {
    struct stat of;
    if (!control || !control->lose || fstat(fd, &of) != 0) return;
    pthread_mutex_lock(&lock);
    for (struct written **place = &unsynced; *place;) {
        struct written *one = *place;
        if (one->dev != of.st_dev || one->ino != of.st_ino) { place = &one->next; continue; }
        if (lost && REAL(pwrite64)(fd, one->old, one->length, one->at) < 0) abort();
        *place = one->next;
        free(one);
    }
    pthread_mutex_unlock(&lock);
}

#define FAIL do { errno = (int)control->error; return -1; } while (0)

static int do_open(const char *name, const char *path, int flags, mode_t mode) {
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (counted(OPEN) && writes && fails(concerns(path))) FAIL;
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name);
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    return do_open("open", path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest);
    return do_open("open64", path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (counted(WRITE) && fails(fd_concerns(fd))) {
        if (control->error) FAIL;
        if (count > 1) return REAL(write)(fd, bytes, count / 2);
        errno = ENOSPC; return -1;
    }
    return REAL(write)(fd, bytes, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (counted(WRITE) && fails(fd_concerns(fd))) {
        if (control->error) FAIL;
        /* What is left of it is tried next: that is to fail, too, where failures go on. */
        if (count > 1) { remember(fd, at, count / 2); return REAL(pwrite64)(fd, bytes, count / 2, at); }
        errno = ENOSPC; return -1;
    }
    remember(fd, at, count);
    return REAL(pwrite64)(fd, bytes, count, at);
}
ssize_t pread64(int fd, void *bytes, size_t count, off64_t at) {
    if (counted(READ) && fails(fd_concerns(fd))) FAIL;
    return REAL(pread64)(fd, bytes, count, at);
}

static int do_sync(const char *name, int fd) {
    if (control && control->slow_ms && fd_concerns(fd)) {
        struct timespec wait = { control->slow_ms / 1000, (long)(control->slow_ms % 1000) * 1000000 };
        nanosleep(&wait, NULL);
    }
    if (counted(SYNC) && fails(fd_concerns(fd))) {
        forget(fd, 1);
        FAIL;
    }
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int done = real(fd);
    if (done == 0) forget(fd, 0);
    return done;
}
int fsync(int fd) { return do_sync("fsync", fd); }
int fdatasync(int fd) { return do_sync("fdatasync", fd); }
int sync_file_range(int fd, off64_t at, off64_t count, unsigned flags) {
    if (counted(SYNC) && fails(fd_concerns(fd))) FAIL;
    return REAL(sync_file_range)(fd, at, count, flags);
}
int ftruncate64(int fd, off64_t length) {
    if (counted(TRUNCATE) && fails(fd_concerns(fd))) FAIL;
    return REAL(ftruncate64)(fd, length);
}
int rename(const char *from, const char *to) {
    if (counted(RENAME) && fails(concerns(to))) FAIL;
    return REAL(rename)(from, to);
}
int clock_gettime(clockid_t clock, struct timespec *time) {
    int told = REAL(clock_gettime)(clock, time);
    if (told == 0 && control && clock == CLOCK_REALTIME && control->clock_ms) {
        int64_t ns = time->tv_nsec + (control->clock_ms % 1000) * 1000000;
        time->tv_sec += control->clock_ms / 1000 + ns / 1000000000;
        time->tv_nsec = ns % 1000000000;
        if (time->tv_nsec < 0) time->tv_nsec += 1000000000, time->tv_sec -= 1;
    }
    return told;
}
