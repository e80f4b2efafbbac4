/* The viewers: each reads one stream at a time and checks it event by event. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES_MAX = 4096, TAIL_BYTES_MAX = 4096, ID_BYTES_MAX = 80 };

enum phase { WAITING, CONNECTING, HEAD, BODY, OVER };

/* How a stream came out, as a viewer saw it. */
enum result { COMPLETE, LEFT, REFUSED, STATUS, UNFRAMED, BROKEN, DISORDER, MIXED, SHORT, NO_END,
              CUT, LATE, RESULTS };
static const char *const RESULT_NAMES[RESULTS] = {
    "complete", "left", "refused", "status", "unframed", "broken", "disorder", "mixed", "short",
    "no_end", "cut", "late"};

struct viewer {
    struct watched watched; /* first */
    enum phase phase;
    int fd, number;
    bool attaches; /* to the stream of its group's leader, instead of asking for one */
    int64_t open_at_ns, asked_ns;
    char head[HEAD_BYTES_MAX + 1]; /* the response's head, then the end of its body */
    size_t head_bytes;
    struct chunked chunks;
    bool is_chunked, keeps_connection;
    char marker[MARKER_DIGITS];
    int marker_digits; /* -1: not inside a marker */
    uint32_t stream;
    int seen; /* events */
    int leave_after; /* events; 0: stays */
    bool served;
};

static struct viewer *viewers;
static struct viewer **by_time;
static int total, next_to_open, over, served, open_now, bad_status;
static bool no_more;
static uint64_t results[RESULTS], events_seen;
static struct histogram delay, delay_steady, first_byte;

static void ask(struct viewer *it);

static void next_stream(struct viewer *it) {
    if (plan.mode == MODE_CHURN && !no_more) {
        ask(it);
        return;
    }
    it->phase = OVER;
    over++;
    if (!it->served) served++;
    it->served = true;
}

static void end(struct viewer *it, enum result result) {
    results[result]++;
    open_now--;
    if (result != COMPLETE || !it->keeps_connection || plan.mode != MODE_CHURN || no_more) {
        close(it->fd);
        it->fd = -1;
    }
    if (result == COMPLETE || plan.mode != MODE_CHURN) {
        next_stream(it);
        return;
    }
    it->phase = OVER; /* a viewer that failed does not ask again: it would only ask faster */
    over++;
}

/* --- asking --------------------------------------------------------------------------------- */

static const char BODY_JSON[] =
    "{\"model\":\"claude-sonnet-5-5\",\"max_tokens\":1024,\"stream\":true,\"messages\":"
    "[{\"role\":\"user\",\"content\":\"Why is the ocean salty?\"}]}";

static void send_request(struct viewer *it) {
    int bytes;
    if (it->attaches) {
        bytes = snprintf(scratch, sizeof scratch,
                         "GET %s HTTP/1.1\r\nHost: %s:%d\r\nx-api-key: %s\r\n"
                         "accept: text/event-stream\r\n\r\n",
                         it->head, plan.host, plan.port, plan.key);
    } else {
        bytes = snprintf(scratch, sizeof scratch,
                         "POST %s HTTP/1.1\r\nHost: %s:%d\r\nx-api-key: %s\r\n"
                         "anthropic-version: 2023-06-01\r\nContent-Type: application/json\r\n"
                         "Content-Length: %zu\r\n\r\n%s",
                         plan.path, plan.host, plan.port, plan.key, sizeof BODY_JSON - 1,
                         BODY_JSON);
    }
    if (send(it->fd, scratch, (size_t)bytes, MSG_NOSIGNAL) != bytes) {
        end(it, REFUSED);
        return;
    }
    it->phase = HEAD;
    it->head_bytes = 0;
}

static void viewer_ready(struct watched *self, uint32_t events);

static void connect_viewer(struct viewer *it) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)plan.port)};
    inet_pton(AF_INET, plan.host, &address.sin_addr);
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (it->fd < 0) {
        perror("a viewer has no socket");
        exit(1);
    }
    int on = 1;
    setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    it->phase = CONNECTING;
    if (connect(it->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) {
        end(it, REFUSED);
        return;
    }
    watch(it->fd, EPOLLOUT, &it->watched, true);
}

static void ask(struct viewer *it) {
    it->asked_ns = now_ns;
    it->seen = 0;
    it->marker_digits = -1;
    it->served = false;
    it->chunks = (struct chunked){0};
    open_now++;
    if (it->fd >= 0) send_request(it);
    else connect_viewer(it);
}

static int by_opening(const void *left, const void *right) {
    const struct viewer *a = *(struct viewer *const *)left, *b = *(struct viewer *const *)right;
    return a->open_at_ns < b->open_at_ns ? -1 : a->open_at_ns > b->open_at_ns;
}

/* Lays out who comes when; those that attach come when their leader has its head. */
void viewers_prepare(int64_t start_ns) {
    total = plan.streams * plan.viewers;
    viewers = calloc((size_t)total, sizeof *viewers);
    by_time = calloc((size_t)total, sizeof *by_time);
    for (int i = 0; i < total; i++) {
        struct viewer *it = by_time[i] = &viewers[i];
        it->watched.ready = viewer_ready;
        it->number = i;
        it->fd = -1;
        it->attaches = i % plan.viewers != 0;
        it->open_at_ns = it->attaches
            ? INT64_MAX
            : start_ns + plan.ramp_ns * (i / plan.viewers) / plan.streams;
        if (plan.leave_every && i % plan.leave_every == 0)
            it->leave_after = 1 + (int)((int64_t)plan.events * (10 + i * 37 % 60) / 100);
    }
    qsort(by_time, (size_t)total, sizeof *by_time, by_opening);
}

int64_t viewers_next_due(void) {
    return next_to_open < total ? by_time[next_to_open]->open_at_ns : INT64_MAX;
}

void viewers_open_due(void) {
    while (next_to_open < total && by_time[next_to_open]->open_at_ns <= now_ns)
        ask(by_time[next_to_open++]);
}

/* The leader's response names the stream: the rest of its group attaches. */
static void bring_group(struct viewer *leader) {
    size_t bytes;
    const char *id = header_value(leader->head, "finalstop-stream-id", &bytes);
    for (int i = 1; i < plan.viewers; i++) {
        struct viewer *it = leader + i;
        if (!id || bytes > ID_BYTES_MAX) {
            results[STATUS]++;
            it->phase = OVER;
            over++;
            served++;
            continue;
        }
        char text[ID_BYTES_MAX + 1];
        memcpy(text, id, bytes);
        text[bytes] = 0;
        const char *hole = strstr(plan.watch_path, "%s");
        snprintf(it->head, sizeof it->head, "%.*s%s%s", (int)(hole - plan.watch_path),
                 plan.watch_path, text, hole + 2);
        ask(it);
    }
}

/* --- checking ------------------------------------------------------------------------------- */

static uint64_t number_in(const char *digits, int count) {
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        char c = digits[i];
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

/* One delta has come whole. */
static enum result check(struct viewer *it) {
    uint32_t stream = (uint32_t)number_in(it->marker, STREAM_DIGITS);
    int event = (int)number_in(it->marker + STREAM_DIGITS, EVENT_DIGITS);
    int64_t sent_ns = (int64_t)number_in(it->marker + STREAM_DIGITS + EVENT_DIGITS, STAMP_DIGITS);
    if (it->seen == 0) it->stream = stream;
    if (it->stream != stream) return MIXED;
    if (it->seen != event) return DISORDER;
    it->seen++;
    events_seen++;
    histogram_add(&delay, now_ns - sent_ns);
    if (in_steady_part) histogram_add(&delay_steady, now_ns - sent_ns);
    if (it->leave_after && it->seen == it->leave_after) return LEFT;
    if (it->seen == plan.events) {
        it->head_bytes = 0; /* from here on it holds the end of the body */
        if (!it->served) served++;
        it->served = true;
    }
    return COMPLETE;
}

static bool is_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/* Finds the markers in a span of the body; COMPLETE: nothing is wrong so far. */
static enum result scan(struct viewer *it, const char *at, size_t bytes) {
    const char *over_at = at + bytes;
    while (at < over_at) {
        if (it->marker_digits < 0) {
            at = memchr(at, '@', (size_t)(over_at - at));
            if (!at) break;
            at++;
            it->marker_digits = 0;
        } else if (it->marker_digits < MARKER_DIGITS) {
            if (!is_digit(*at)) return DISORDER;
            it->marker[it->marker_digits++] = *at++;
        } else {
            if (*at++ != '@') return DISORDER;
            it->marker_digits = -1;
            enum result found = check(it);
            if (found != COMPLETE) return found;
        }
    }
    return COMPLETE;
}

/* A span that holds the last delta may hold much before it: its end is what matters. */
static void keep_tail(struct viewer *it, const char *data, size_t bytes) {
    if (it->seen < plan.events) return;
    if (bytes > TAIL_BYTES_MAX) {
        data += bytes - TAIL_BYTES_MAX;
        bytes = TAIL_BYTES_MAX;
    }
    if (it->head_bytes + bytes > TAIL_BYTES_MAX) {
        size_t kept = TAIL_BYTES_MAX - bytes;
        memmove(it->head, it->head + it->head_bytes - kept, kept);
        it->head_bytes = kept;
    }
    memcpy(it->head + it->head_bytes, data, bytes);
    it->head_bytes += bytes;
}

static enum result judge_end(struct viewer *it) {
    if (it->seen < plan.events) return SHORT;
    it->head[it->head_bytes] = 0;
    const char *found = strstr(it->head, plan.end);
    if (!found || strstr(found + 1, plan.end)) return NO_END;
    return COMPLETE;
}

static void take_body(struct viewer *it, const char *data, size_t bytes) {
    size_t span;
    while ((span = chunked_next(&it->chunks, &data, &bytes))) {
        enum result result = scan(it, data - span, span);
        if (result != COMPLETE) {
            uint32_t stream = it->stream;
            end(it, result);
            if (result == LEFT) origin_viewer_left(stream);
            return;
        }
        keep_tail(it, data - span, span);
    }
    if (it->chunks.broken) end(it, BROKEN);
    else if (it->chunks.phase == CHUNK_OVER) end(it, bytes ? BROKEN : judge_end(it));
}

static void take_head(struct viewer *it, const char *data, size_t bytes) {
    size_t room = HEAD_BYTES_MAX - it->head_bytes, size;
    size_t before = it->head_bytes, took = bytes < room ? bytes : room;
    memcpy(it->head + before, data, took);
    it->head_bytes += took;
    it->head[it->head_bytes] = 0;
    char *over_at = strstr(it->head, "\r\n\r\n");
    if (!over_at) {
        if (took < bytes) end(it, BROKEN);
        return;
    }
    size_t head_bytes = (size_t)(over_at - it->head) + 4;
    over_at[2] = 0;
    histogram_add(&first_byte, now_ns - it->asked_ns);
    int status = atoi(it->head + 9);
    if (status != 200) {
        bad_status = status;
        end(it, STATUS);
        return;
    }
    const char *value = header_value(it->head, "transfer-encoding", &size);
    if (!value || strncasecmp(value, "chunked", 7) != 0) {
        end(it, UNFRAMED);
        return;
    }
    value = header_value(it->head, "connection", &size);
    it->keeps_connection = !value || strncasecmp(value, "close", 5) != 0;
    if (plan.viewers > 1 && !it->attaches) bring_group(it);
    it->phase = BODY;
    size_t used = head_bytes - before;
    if (used < bytes) take_body(it, data + used, bytes - used);
}

static void viewer_ready(struct watched *self, uint32_t events) {
    struct viewer *it = (struct viewer *)self;
    if (it->phase == CONNECTING) {
        if (events & (EPOLLERR | EPOLLHUP)) {
            end(it, REFUSED);
            return;
        }
        watch(it->fd, EPOLLIN, &it->watched, false);
        send_request(it);
        return;
    }
    ssize_t got = recv(it->fd, scratch, sizeof scratch, 0);
    now_ns = read_clock();
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) end(it, it->phase == BODY ? CUT : REFUSED);
    else if (it->phase == HEAD) take_head(it, scratch, (size_t)got);
    else if (it->phase == BODY) take_body(it, scratch, (size_t)got);
}

/* --- the account ---------------------------------------------------------------------------- */

bool viewers_all_over(void) { return over == total; }
bool viewers_all_served(void) { return served == total; }
uint64_t viewers_events(void) { return events_seen; }
uint64_t viewers_open(void) { return (uint64_t)open_now; }

/* No new streams. A viewer that waits for the next one has nothing under way. */
void viewers_no_more(void) { no_more = true; }

void viewers_print(void) {
    for (int i = 0; i < total && plan.mode != MODE_HOLD; i++)
        if (viewers[i].phase != OVER) results[LATE]++;
    printf("\"events\":%llu,\"results\":{", (unsigned long long)events_seen);
    for (int i = 0; i < RESULTS; i++)
        printf("%s\"%s\":%llu", i ? "," : "", RESULT_NAMES[i], (unsigned long long)results[i]);
    printf("},\"served\":%d,\"bad_status\":%d,", served, bad_status);
    histogram_print("delay", &delay);
    printf(",");
    histogram_print("delay_steady", &delay_steady);
    printf(",");
    histogram_print("first_byte", &first_byte);
}
