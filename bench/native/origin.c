/* The origin: answers every POST with a stream of the Messages API, on an exact schedule.
 *
 * Stream k sends its first delta at a point of the interval that no other stream shares, so that
 * the load is even. A socket that takes no more does not stop the clock: what falls due meanwhile
 * is stamped with its due time, because a model would have said it then.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 16384, PENDING_BYTES_MAX = 1 << 20, STREAMS_MAX = 1 << 20 };

struct stream {
    struct watched watched; /* first */
    int fd;
    char *request; /* NULL while none is being read */
    size_t request_bytes;
    bool playing;
    uint32_t number;
    int sent; /* deltas */
    int64_t due_ns;
    int heap_at; /* -1: not in the heap */
    char *pending;
    size_t pending_bytes;
};

static struct stream **heap;
static int heap_size, heap_room;
static int64_t *left_at; /* by stream number: when its viewer left, or 0 */
static bool *is_finished;
static uint32_t streams_begun;
static uint64_t events_sent, streams_finished, closed_early, bad_requests, stalls;
static int leavers, closes_seen;
static struct histogram lateness, close_delay;

/* --- the schedule: a heap, the next one due on top ------------------------------------------ */

static void heap_put(int at, struct stream *it) {
    heap[at] = it;
    it->heap_at = at;
}

static void heap_settle(int at) {
    struct stream *it = heap[at];
    while (at > 0 && it->due_ns < heap[(at - 1) / 2]->due_ns) {
        heap_put(at, heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (int child; (child = 2 * at + 1) < heap_size; at = child) {
        if (child + 1 < heap_size && heap[child + 1]->due_ns < heap[child]->due_ns) child++;
        if (heap[child]->due_ns >= it->due_ns) break;
        heap_put(at, heap[child]);
    }
    heap_put(at, it);
}

static void heap_add(struct stream *it) {
    if (heap_size == heap_room) {
        heap_room = heap_room ? heap_room * 2 : 1024;
        heap = realloc(heap, (size_t)heap_room * sizeof *heap);
    }
    heap_put(heap_size++, it);
    heap_settle(it->heap_at);
}

static void heap_drop(struct stream *it) {
    int at = it->heap_at;
    if (at < 0) return;
    it->heap_at = -1;
    struct stream *last = heap[--heap_size];
    if (last != it) {
        heap_put(at, last);
        heap_settle(at);
    }
}

int64_t origin_next_due(void) { return heap_size ? heap[0]->due_ns : INT64_MAX; }

/* --- what is sent --------------------------------------------------------------------------- */

static const char HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    "Cache-Control: no-cache\r\nrequest-id: req_011CBench\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char OPENING[] =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01Bench\","
    "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-5-5\",\"content\":[],"
    "\"stop_reason\":null,\"stop_sequence\":null,"
    "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
static const char BEFORE_MARKER[] =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"@";
static const char AFTER_MARKER[] = "@ rivers\"}}\n\n";
static const char CLOSING[] =
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
    "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":100}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
static const char NOT_A_STREAM[] =
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

static char *put(char *at, const char *text, size_t bytes) {
    memcpy(at, text, bytes);
    return at + bytes;
}
#define PUT(at, literal) put(at, literal, sizeof literal - 1)

static char *put_digits(char *at, uint64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--, value >>= 4) at[i] = "0123456789abcdef"[value & 15];
    return at + digits;
}

static char *put_delta(char *at, const struct stream *it, int64_t stamp_ns) {
    at = PUT(at, BEFORE_MARKER);
    at = put_digits(at, it->number, STREAM_DIGITS);
    at = put_digits(at, (uint64_t)it->sent, EVENT_DIGITS);
    at = put_digits(at, (uint64_t)stamp_ns, STAMP_DIGITS);
    return PUT(at, AFTER_MARKER);
}

static void close_stream(struct stream *it) {
    if (it->playing) {
        closed_early++;
        if (left_at[it->number]) {
            closes_seen++;
            histogram_add(&close_delay, now_ns - left_at[it->number]);
        }
    }
    heap_drop(it);
    close(it->fd);
    free(it->request);
    free(it->pending);
    free(it);
}

/* Sends, or keeps what the socket does not take; false: the stream is gone. */
static bool send_all(struct stream *it, const char *data, size_t bytes) {
    if (!it->pending_bytes) {
        ssize_t took = send(it->fd, data, bytes, MSG_NOSIGNAL);
        if (took == (ssize_t)bytes) return true;
        if (took < 0 && errno != EAGAIN) {
            close_stream(it);
            return false;
        }
        if (took > 0) {
            data += took;
            bytes -= (size_t)took;
        }
        stalls++;
        if (!it->pending) it->pending = malloc(PENDING_BYTES_MAX);
        watch(it->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, &it->watched, false);
    }
    if (it->pending_bytes + bytes > PENDING_BYTES_MAX) {
        close_stream(it); /* the relay has stopped reading for good */
        return false;
    }
    memcpy(it->pending + it->pending_bytes, data, bytes);
    it->pending_bytes += bytes;
    return true;
}

/* One HTTP chunk around what stands in `scratch` from byte 16 on. */
static bool send_chunk(struct stream *it, char *over, bool last) {
    char *body = scratch + 16;
    char size[20];
    int digits = snprintf(size, sizeof size, "%zx\r\n", (size_t)(over - body));
    char *start = body - digits;
    memcpy(start, size, (size_t)digits);
    over = PUT(over, "\r\n");
    if (last) over = PUT(over, "0\r\n\r\n");
    return send_all(it, start, (size_t)(over - start));
}

static void begin(struct stream *it) {
    it->number = streams_begun++;
    it->sent = 0;
    it->playing = true;
    char *at = PUT(scratch + 16 + sizeof HEAD, OPENING);
    /* Head and opening in one send: what stands before the chunk is the head. */
    char size[20], *body = scratch + 16 + sizeof HEAD;
    int digits = snprintf(size, sizeof size, "%zx\r\n", (size_t)(at - body));
    char *start = body - digits;
    memcpy(start, size, (size_t)digits);
    start -= sizeof HEAD - 1;
    memcpy(start, HEAD, sizeof HEAD - 1);
    at = PUT(at, "\r\n");
    if (!send_all(it, start, (size_t)(at - start))) return;
    /* The golden ratio spreads any number of streams evenly over the interval. */
    double share = (double)it->number * 0.6180339887498949;
    share -= (double)(int64_t)share;
    int64_t grid = now_ns / plan.interval_ns * plan.interval_ns;
    it->due_ns = grid + (int64_t)(share * (double)plan.interval_ns);
    if (it->due_ns < now_ns) it->due_ns += plan.interval_ns;
    heap_add(it);
}

static void finish(struct stream *it) {
    it->playing = false;
    heap_drop(it);
    streams_finished++;
    is_finished[it->number] = true;
    if (left_at[it->number]) leavers--; /* it left when all was said: nothing had to be closed */
    send_chunk(it, PUT(scratch + 16, CLOSING), true);
}

static void send_next(struct stream *it) {
    if (it->sent >= plan.events) {
        if (plan.mode == MODE_HOLD) heap_drop(it);
        else finish(it);
        return;
    }
    now_ns = read_clock();
    histogram_add(&lateness, now_ns - it->due_ns);
    int64_t stamp_ns = it->pending_bytes ? it->due_ns : now_ns;
    char *at = scratch + 16;
    for (int i = 0; i < plan.batch && it->sent < plan.events; i++, it->sent++, events_sent++)
        at = put_delta(at, it, stamp_ns);
    it->due_ns += plan.interval_ns;
    heap_settle(it->heap_at);
    send_chunk(it, at, false);
}

/* Everything due by now, but not for ever: viewers have to be read, too. */
void origin_send_due(void) {
    for (int i = 0; i < 64 && heap_size && heap[0]->due_ns <= now_ns; i++) send_next(heap[0]);
}

/* --- what is received ----------------------------------------------------------------------- */

static void answer(struct stream *it, bool is_stream) {
    free(it->request);
    it->request = NULL;
    it->request_bytes = 0;
    if (is_stream) {
        begin(it);
    } else {
        bad_requests++;
        send_all(it, NOT_A_STREAM, sizeof NOT_A_STREAM - 1);
    }
}

/* Whether all of the request is here; its body may come by length or in chunks. */
static bool is_whole(const struct stream *it) {
    const char *body = strstr(it->request, "\r\n\r\n");
    if (!body) return false;
    body += 4;
    size_t got = it->request_bytes - (size_t)(body - it->request), size;
    const char *value = header_value(it->request, "content-length", &size);
    if (value && value < body) return got >= strtoul(value, NULL, 10);
    value = header_value(it->request, "transfer-encoding", &size);
    if (!value || value > body) return true;
    struct chunked chunks = {0};
    while (chunked_next(&chunks, &body, &got)) {}
    return chunks.phase == CHUNK_OVER;
}

static void receive(struct stream *it) {
    if (!it->request) it->request = malloc(REQUEST_BYTES_MAX + 1);
    size_t room = REQUEST_BYTES_MAX - it->request_bytes;
    ssize_t got = recv(it->fd, it->request + it->request_bytes, room, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
        close_stream(it);
        return;
    }
    it->request_bytes += (size_t)got;
    it->request[it->request_bytes] = 0;
    if (is_whole(it)) {
        bool is_post = strncmp(it->request, "POST ", 5) == 0;
        bool wants_stream = strstr(it->request, "\"stream\":true") ||
                            strstr(it->request, "\"stream\": true");
        answer(it, is_post && wants_stream && streams_begun < STREAMS_MAX);
    } else if (it->request_bytes == REQUEST_BYTES_MAX) {
        answer(it, false);
    }
}

static bool send_pending(struct stream *it) {
    ssize_t took = send(it->fd, it->pending, it->pending_bytes, MSG_NOSIGNAL);
    if (took < 0) {
        if (errno == EAGAIN) return true;
        close_stream(it);
        return false;
    }
    it->pending_bytes -= (size_t)took;
    memmove(it->pending, it->pending + took, it->pending_bytes);
    if (!it->pending_bytes) watch(it->fd, EPOLLIN | EPOLLRDHUP, &it->watched, false);
    return true;
}

static void stream_ready(struct watched *self, uint32_t events) {
    struct stream *it = (struct stream *)self;
    now_ns = read_clock();
    if ((events & (EPOLLHUP | EPOLLERR)) || ((events & EPOLLRDHUP) && it->playing)) {
        close_stream(it);
        return;
    }
    if ((events & EPOLLOUT) && it->pending_bytes && !send_pending(it)) return;
    if (events & EPOLLIN) receive(it);
}

static struct listener {
    struct watched watched;
    int fd;
} listener;

static void listener_ready(struct watched *self, uint32_t events) {
    (void)self;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct stream *it = calloc(1, sizeof *it);
        it->watched.ready = stream_ready;
        it->fd = fd;
        it->heap_at = -1;
        watch(fd, EPOLLIN | EPOLLRDHUP, &it->watched, true);
    }
}

/* Listens on a free port of 127.0.0.1 and returns it. */
int origin_listen(void) {
    left_at = calloc(STREAMS_MAX, sizeof *left_at);
    is_finished = calloc(STREAMS_MAX, sizeof *is_finished);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    listener.watched.ready = listener_ready;
    if (bind(listener.fd, (struct sockaddr *)&address, size) || listen(listener.fd, 4096) ||
        getsockname(listener.fd, (struct sockaddr *)&address, &size)) {
        perror("the origin cannot listen");
        exit(1);
    }
    watch(listener.fd, EPOLLIN, &listener.watched, true);
    return ntohs(address.sin_port);
}

/* The viewer of this stream has closed its connection: the relay should close ours. */
void origin_viewer_left(uint32_t stream) {
    if (is_finished[stream]) return;
    leavers++;
    left_at[stream] = now_ns;
}

int origin_unseen_closes(void) { return leavers - closes_seen; }

uint64_t origin_events_sent(void) { return events_sent; }

void origin_print(void) {
    printf("\"origin\":{\"streams\":%u,\"finished\":%llu,\"events\":%llu,\"closed_early\":%llu,"
           "\"bad_requests\":%llu,\"stalls\":%llu,\"leavers\":%d,\"closes_seen\":%d,",
           streams_begun, (unsigned long long)streams_finished, (unsigned long long)events_sent,
           (unsigned long long)closed_early, (unsigned long long)bad_requests,
           (unsigned long long)stalls, leavers, closes_seen);
    histogram_print("lateness", &lateness);
    printf(",");
    histogram_print("close_delay", &close_delay);
    printf("}");
}
