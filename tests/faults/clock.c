/* A wall clock that is wrong by as many nanoseconds as the first eight bytes of a file say (WRONG_CLOCK_FILE).
 *
 * Preloaded into processes under test; the file is shared memory, so a change counts at once. The monotonic clock is
 * left alone: that is what happens when somebody sets a machine's clock.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
static const volatile int64_t *offset_ns;

__attribute__((constructor)) static void open_clock(void) {
    const char *file = getenv("WRONG_CLOCK_FILE");
    int descriptor = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    void *shared = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, descriptor, 0);
    if (shared != MAP_FAILED) offset_ns = shared;
    close(descriptor);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (failed == 0 && offset_ns != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t wrong = now->tv_sec * SECOND + now->tv_nsec + *offset_ns;
        now->tv_sec = wrong / SECOND;
        now->tv_nsec = wrong % SECOND;
    }
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    if (failed == 0) {
        now->tv_sec = exact.tv_sec;
        now->tv_usec = exact.tv_nsec / 1000;
    }
    return failed;
}

time_t time(time_t *told) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact) != 0) return (time_t)-1;
    if (told != NULL) *told = exact.tv_sec;
    return exact.tv_sec;
}
