/* Delays, to within 3 %. */
#include "load.h"

#include <stdio.h>

static int bucket_of(int64_t ns) {
    if (ns < 32) return ns < 0 ? 0 : (int)ns;
    int power = 63 - __builtin_clzll((uint64_t)ns);
    return (power - 4) * 32 + (int)((ns >> (power - 5)) & 31);
}

static int64_t middle_of(int bucket) {
    if (bucket < 32) return bucket;
    int power = bucket / 32 + 4;
    int64_t width = (int64_t)1 << (power - 5);
    return (32 + bucket % 32) * width + width / 2;
}

void histogram_add(struct histogram *it, int64_t ns) {
    it->count[bucket_of(ns)]++;
    it->total++;
    if (ns > it->most) it->most = ns;
}

/* The delay that `share` of all do not exceed. */
int64_t histogram_at(const struct histogram *it, double share) {
    uint64_t wanted = (uint64_t)(share * (double)it->total), seen = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        seen += it->count[bucket];
        if (seen > wanted) return middle_of(bucket) < it->most ? middle_of(bucket) : it->most;
    }
    return it->most;
}

void histogram_print(const char *name, const struct histogram *it) {
    printf("\"%s\":{\"count\":%llu,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,"
           "\"p999_ms\":%.4f,\"max_ms\":%.4f}",
           name, (unsigned long long)it->total, (double)histogram_at(it, 0.5) / 1e6,
           (double)histogram_at(it, 0.9) / 1e6, (double)histogram_at(it, 0.99) / 1e6,
           (double)histogram_at(it, 0.999) / 1e6, (double)it->most / 1e6);
}
