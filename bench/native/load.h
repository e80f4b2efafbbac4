/* The load: a fake upstream (the origin) and its clients (the viewers), in one process, one loop.
 *
 * Each delta carries a marker, `@` stream number, event number, instant of sending `@`, so that a
 * viewer can check every event and say how late it came, whatever wire format is between them.
 * Both ends share a clock and a core; nothing here knows which relay stands between.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* In hexadecimal digits: 2^20 streams, 2^24 events each, 2^56 ns since the machine started. */
enum { STREAM_DIGITS = 5, EVENT_DIGITS = 6, STAMP_DIGITS = 14, MARKER_DIGITS = 25 };

enum mode {
    MODE_STEADY, /* every stream is opened once and lasts until the steady part is over */
    MODE_CHURN,  /* a viewer whose stream ended asks for the next one */
    MODE_HOLD,   /* the streams stay open after their events, until told to stop */
};

/* What is played; the names are those of the command line. */
struct plan {
    enum mode mode;
    int streams;     /* at one time */
    int viewers;     /* of each stream: 1, or several of which all but one attach */
    int leave_every; /* each so-many-th viewer leaves early; 0: none */
    int events;      /* deltas of a stream; derived in MODE_STEADY */
    int batch;       /* deltas of one send */
    int64_t interval_ns; /* between two sends of a stream */
    int64_t ramp_ns;     /* over which the viewers come */
    int64_t settle_ns;   /* after the ramp, before the steady part */
    int64_t steady_ns;
    int64_t patience_ns; /* how long after its last event may a stream take to end */
    const char *path;
    const char *watch_path; /* a %s in it is the stream's id */
    const char *key;  /* x-api-key */
    const char *end;        /* what stands in the body after the last delta, exactly once */
    char host[64];
    int port;
};

/* Whatever epoll reports about; the first member of every connection. */
struct watched {
    void (*ready)(struct watched *self, uint32_t events);
};

/* Delays in ns, 32 buckets to each power of two. */
enum { BUCKETS = 60 * 32 };
struct histogram {
    uint64_t count[BUCKETS];
    uint64_t total;
    int64_t most;
};

void histogram_add(struct histogram *it, int64_t ns);
int64_t histogram_at(const struct histogram *it, double share);
void histogram_print(const char *name, const struct histogram *it);

/* main.c */
extern struct plan plan;
extern int64_t now_ns; /* read once per turn of the loop, and before each send */
extern bool in_steady_part;
extern char scratch[1 << 18];
int64_t read_clock(void);
void watch(int fd, uint32_t events, struct watched *it, bool is_new);

/* http.c: a body in chunks (RFC 9112 section 7.1), whatever pieces it comes in. */
enum chunk_phase { CHUNK_SIZE, CHUNK_EXTENSION, CHUNK_DATA, CHUNK_CRLF, CHUNK_TRAILER, CHUNK_OVER };
struct chunked {
    enum chunk_phase phase;
    uint64_t left;
    int line_bytes; /* of the size or of the trailer line so far */
    bool broken;
};
size_t chunked_next(struct chunked *it, const char **data, size_t *bytes);
const char *header_value(const char *head, const char *name, size_t *bytes);

/* origin.c */
int origin_listen(void);
int64_t origin_next_due(void);
void origin_send_due(void);
void origin_viewer_left(uint32_t stream);
void origin_print(void);
uint64_t origin_events_sent(void);
int origin_unseen_closes(void);

/* viewer.c */
void viewers_prepare(int64_t start_ns);
int64_t viewers_next_due(void);
void viewers_open_due(void);
bool viewers_all_over(void);
bool viewers_all_served(void);
void viewers_no_more(void);
uint64_t viewers_events(void);
uint64_t viewers_open(void);
void viewers_print(void);

#endif
