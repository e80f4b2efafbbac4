/* The loop, its arguments, and what it reports: one JSON object a line on standard output.
 *
 * Commands come on standard input: `go HOST PORT` (where the viewers ask), `stop`. When standard
 * input ends, so does the program: nothing is left behind by a runner that died.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct plan plan = {
    .mode = MODE_STEADY, .streams = 1, .viewers = 1, .events = 100, .batch = 1,
    .interval_ns = 10000000, .patience_ns = 10000000000, .path = "/v1/messages", .key = "bench",
    .watch_path = "/streams/%s", .end = "\"type\":\"message_stop\"",
};
int64_t now_ns;
bool in_steady_part;
char scratch[1 << 18];

static int poller;
static int64_t start_ns = -1, steady_from_ns, steady_to_ns, give_up_ns;
static bool told_steady, told_over, told_held, told_stop;

int64_t read_clock(void) {
    struct timespec it;
    clock_gettime(CLOCK_MONOTONIC, &it);
    return it.tv_sec * INT64_C(1000000000) + it.tv_nsec;
}

static int64_t own_cpu_ns(void) {
    struct timespec it;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &it);
    return it.tv_sec * INT64_C(1000000000) + it.tv_nsec;
}

void watch(int fd, uint32_t events, struct watched *it, bool is_new) {
    struct epoll_event event = {.events = events, .data.ptr = it};
    if (epoll_ctl(poller, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event)) {
        perror("epoll_ctl");
        exit(1);
    }
}

static void tell(const char *what) {
    printf("{\"at\":\"%s\",\"now_ns\":%lld,\"events\":%llu,\"sent\":%llu,\"open\":%llu,"
           "\"own_cpu_ns\":%lld}\n",
           what, (long long)read_clock(), (unsigned long long)viewers_events(),
           (unsigned long long)origin_events_sent(), (unsigned long long)viewers_open(),
           (long long)own_cpu_ns());
    fflush(stdout);
}

static void report(void) {
    printf("{\"at\":\"done\",\"now_ns\":%lld,\"own_cpu_ns\":%lld,", (long long)read_clock(),
           (long long)own_cpu_ns());
    viewers_print();
    printf(",");
    origin_print();
    printf("}\n");
    fflush(stdout);
}

/* --- commands ------------------------------------------------------------------------------- */

static void go(void) {
    now_ns = start_ns = read_clock();
    steady_from_ns = start_ns + plan.ramp_ns + plan.settle_ns;
    steady_to_ns = steady_from_ns + plan.steady_ns;
    int sends = (plan.events + plan.batch - 1) / plan.batch + 2;
    give_up_ns = steady_to_ns + plan.interval_ns * sends + plan.patience_ns;
    viewers_prepare(start_ns);
    tell("start");
}

static void stdin_ready(struct watched *self, uint32_t events) {
    (void)self;
    (void)events;
    static char line[256];
    static size_t bytes;
    ssize_t got = read(0, line + bytes, sizeof line - 1 - bytes);
    if (got <= 0) exit(got == 0 || errno != EAGAIN ? 2 : 0);
    bytes += (size_t)got;
    line[bytes] = 0;
    if (!strchr(line, '\n')) return;
    if (sscanf(line, "go %63s %d", plan.host, &plan.port) == 2) go();
    else if (strncmp(line, "stop", 4) == 0) told_stop = true;
    bytes = 0;
}

/* --- arguments: NAME=VALUE ------------------------------------------------------------------ */

static bool is(const char *word, const char *name, const char **value) {
    size_t length = strlen(name);
    if (strncmp(word, name, length) != 0 || word[length] != '=') return false;
    *value = word + length + 1;
    return true;
}

static void read_mode(const char *value) {
    if (strcmp(value, "steady") == 0) plan.mode = MODE_STEADY;
    else if (strcmp(value, "churn") == 0) plan.mode = MODE_CHURN;
    else if (strcmp(value, "hold") == 0) plan.mode = MODE_HOLD;
    else {
        fprintf(stderr, "mode=%s: it must be steady, churn or hold\n", value);
        exit(2);
    }
}

static void read_word(const char *word) {
    const char *value;
    if (is(word, "mode", &value)) read_mode(value);
    else if (is(word, "streams", &value)) plan.streams = atoi(value);
    else if (is(word, "viewers", &value)) plan.viewers = atoi(value);
    else if (is(word, "leave_every", &value)) plan.leave_every = atoi(value);
    else if (is(word, "events", &value)) plan.events = atoi(value);
    else if (is(word, "batch", &value)) plan.batch = atoi(value);
    else if (is(word, "interval_us", &value)) plan.interval_ns = atoll(value) * 1000;
    else if (is(word, "ramp_ms", &value)) plan.ramp_ns = atoll(value) * 1000000;
    else if (is(word, "settle_ms", &value)) plan.settle_ns = atoll(value) * 1000000;
    else if (is(word, "steady_ms", &value)) plan.steady_ns = atoll(value) * 1000000;
    else if (is(word, "patience_ms", &value)) plan.patience_ns = atoll(value) * 1000000;
    else if (is(word, "path", &value)) plan.path = value;
    else if (is(word, "watch_path", &value)) plan.watch_path = value;
    else if (is(word, "key", &value)) plan.key = value;
    else if (is(word, "end", &value)) plan.end = value;
    else {
        fprintf(stderr, "%s: no such setting\n", word);
        exit(2);
    }
}

static void check_plan(void) {
    /* A batch has to fit into `scratch` with its framing. */
    if (plan.streams < 1 || plan.viewers < 1 || plan.events < 1 || plan.batch < 1 ||
        plan.batch > 1000 || plan.interval_ns < 1000 || !strstr(plan.watch_path, "%s")) {
        fprintf(stderr, "streams, viewers, events, interval_us and batch (at most 1000) must be "
                        "positive, and watch_path must hold %%s\n");
        exit(2);
    }
}

/* --- the loop ------------------------------------------------------------------------------- */

/* What the time says; true when all is over. */
static bool is_over(void) {
    if (start_ns < 0) return told_stop;
    if (plan.mode == MODE_HOLD) {
        if (!told_held && (viewers_all_served() || now_ns > give_up_ns)) {
            told_held = true;
            tell("held");
        }
        return told_stop;
    }
    if (!told_steady && now_ns >= steady_from_ns) {
        told_steady = in_steady_part = true;
        tell("steady");
    }
    if (!told_over && now_ns >= steady_to_ns) {
        told_over = true;
        in_steady_part = false;
        tell("steady_over");
        viewers_no_more();
    }
    if (told_stop || now_ns > give_up_ns) return true;
    return told_over && viewers_all_over() && origin_unseen_closes() == 0;
}

static int64_t next_due(void) {
    int64_t due = now_ns + 100000000;
    int64_t sends = origin_next_due(), opens = viewers_next_due();
    if (sends < due) due = sends;
    if (start_ns >= 0) {
        if (opens < due) due = opens;
        if (!told_steady && steady_from_ns < due) due = steady_from_ns;
        if (!told_over && steady_to_ns < due) due = steady_to_ns;
    }
    return due;
}

static int wait_until(int64_t due, struct epoll_event *events, int room) {
    int64_t left = due - read_clock();
    struct timespec timeout = {0, 0};
    if (left > 0) timeout = (struct timespec){left / 1000000000, left % 1000000000};
    return (int)syscall(SYS_epoll_pwait2, poller, events, room, &timeout, NULL, 0);
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) read_word(words[i]);
    check_plan();
    prctl(PR_SET_TIMERSLACK, 1000);
    poller = epoll_create1(EPOLL_CLOEXEC);
    static struct watched commands = {stdin_ready};
    fcntl(0, F_SETFL, O_NONBLOCK);
    watch(0, EPOLLIN, &commands, true);
    printf("{\"at\":\"listening\",\"port\":%d}\n", origin_listen());
    fflush(stdout);
    now_ns = read_clock();
    while (!is_over()) {
        static struct epoll_event events[256];
        int ready = wait_until(next_due(), events, 256);
        if (ready < 0 && errno != EINTR) {
            perror("epoll_pwait2 (Linux 5.11 or newer is needed)");
            return 1;
        }
        now_ns = read_clock();
        for (int i = 0; i < ready; i++) {
            struct watched *it = events[i].data.ptr;
            it->ready(it, events[i].events);
        }
        now_ns = read_clock();
        origin_send_due();
        if (start_ns >= 0) viewers_open_due();
    }
    report();
    return 0;
}
