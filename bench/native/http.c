/* The little HTTP/1.1 that both ends need. */
#define _GNU_SOURCE
#include "load.h"

#include <string.h>
#include <strings.h>

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Takes one character that is not data. */
static void step(struct chunked *it, char c) {
    switch (it->phase) {
    case CHUNK_SIZE:
        if (digit(c) >= 0) {
            it->left = it->left * 16 + (uint64_t)digit(c);
            if (++it->line_bytes > 8) it->broken = true;
            return;
        }
        if (it->line_bytes == 0) it->broken = true;
        it->phase = CHUNK_EXTENSION;
        /* fall through */
    case CHUNK_EXTENSION:
        if (c != '\n') return;
        it->phase = it->left ? CHUNK_DATA : CHUNK_TRAILER;
        it->line_bytes = 0;
        return;
    case CHUNK_CRLF:
        if (c == '\r') return;
        if (c != '\n') it->broken = true;
        it->phase = CHUNK_SIZE;
        it->line_bytes = 0;
        return;
    case CHUNK_TRAILER:
        if (c == '\r') return;
        if (c == '\n' && it->line_bytes == 0) it->phase = CHUNK_OVER;
        it->line_bytes = c == '\n' ? 0 : it->line_bytes + 1;
        return;
    case CHUNK_DATA:
    case CHUNK_OVER:
        it->broken = true;
    }
}

/* The next span of the body: moves `data` and `bytes` past it; 0 when all is taken. The span ends
 * where `data` then points. */
size_t chunked_next(struct chunked *it, const char **data, size_t *bytes) {
    while (*bytes && !it->broken && it->phase != CHUNK_OVER) {
        if (it->phase == CHUNK_DATA) {
            size_t span = it->left < *bytes ? (size_t)it->left : *bytes;
            it->left -= span;
            if (it->left == 0) it->phase = CHUNK_CRLF;
            *data += span;
            *bytes -= span;
            return span;
        }
        step(it, **data);
        ++*data;
        --*bytes;
    }
    return 0;
}

/* The value of a header in a zero-ended head; NULL if there is none. */
const char *header_value(const char *head, const char *name, size_t *bytes) {
    size_t length = strlen(name);
    for (const char *line = head; (line = strstr(line, "\r\n")); ) {
        line += 2;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            while (*value == ' ') value++;
            const char *over = strstr(value, "\r\n");
            *bytes = over ? (size_t)(over - value) : strlen(value);
            return value;
        }
    }
    return NULL;
}
