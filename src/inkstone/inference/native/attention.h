// Attention of rows over the keys and values of their text. What a row gets does not depend on the rows that are read with it.

#pragma once

#include <vector>

#include "registers.h"

namespace {

template <class Number>
float dot(const float* a, const Number* b, int n) {
    Floats total{};
    int i = 0;
    for (; i + LANES <= n; i += LANES) total += load(a + i) * load(b + i);
    float rest = 0;
    for (; i < n; ++i) rest += a[i] * read(b + i);
    return sum(total) + rest;
}

// Have memory on its way before it is read: the processor by itself looks no further than the page that it reads.
template <class Number>
inline void fetch(const Number* from, int64_t n) {
    for (int64_t at = 0; at < n; at += 64 / int64_t(sizeof(Number))) __builtin_prefetch(from + at, 0, 2);
}

// q · k for so many keys of n numbers, at most LANES.
template <class Number>
inline Floats dots(const float* q, const Number* keys, int64_t count, int n) {
    if (n % LANES) {
        Floats found{};
        for (int64_t j = 0; j < count; ++j) found[j] = dot(q, keys + j * n, n);
        return found;
    }
    Floats each[LANES];
#pragma GCC unroll 16
    for (int j = 0; j < LANES; ++j) {
        const Number* key = keys + std::min<int64_t>(j, count - 1) * n;
        each[j] = load(q) * load(key);
        for (int i = LANES; i < n; i += LANES) each[j] += load(q + i) * load(key + i);
    }
    return sums_of<LANES / 2>(each);
}

// Σ p v over the places from `first` to before `last`, the first of them a multiple of four, added to the four (n) sums of every fourth.
template <class Number>
void mix(const float* p, const Number* v, int64_t first, int64_t last, int n, float* sums) {
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        Floats part[4];
        for (int j = 0; j < 4; ++j) part[j] = load(sums + j * n + i);
        int64_t at = first;
        for (; at + 4 <= last; at += 4)
            for (int j = 0; j < 4; ++j) part[j] += p[at + j] * load(v + (at + j) * n + i);
        for (; at < last; ++at) part[0] += p[at] * load(v + at * n + i);
        for (int j = 0; j < 4; ++j) store(sums + j * n + i, part[j]);
    }
    for (; i < n; ++i)
        for (int64_t at = first; at < last; ++at) sums[i] += p[at] * read(v + at * n + i);
}

// A head of a row on its way through attention: its query and output, a number for each place that it sees, and sums of values.
struct Line {
    float *q, *o, *p, *sums;
    int64_t places;
    float total;  // of p
};

// o = softmax(K q) V of lines that see the same keys and values, or the first of them: a few places are read at a time, for all lines.
template <class Number>
void attend(std::vector<Line>& lines, const Number* keys, const Number* values, int w) {
    constexpr int64_t NEAR = 64;  // places whose values stay in the cache nearest to the processor
    int64_t most = 0;
    for (const Line& own : lines) most = std::max(most, own.places);
    fetch(values, most * w);
    for (int64_t at = 0; at < most; at += LANES)
        for (const Line& own : lines)
            if (at < own.places) store(own.p + at, dots(own.q, keys + at * w, std::min<int64_t>(LANES, most - at), w));
    for (Line& own : lines) own.total = exponentials(own.p, own.places), std::fill_n(own.sums, 4 * w, 0.0f);
    for (int64_t at = 0; at < most; at += NEAR)
        for (const Line& own : lines)
            if (at < own.places) mix(own.p, values, at, std::min(at + NEAR, own.places), w, own.sums);
    for (const Line& own : lines)
        for (int i = 0; i < w; ++i)
            own.o[i] = ((own.sums[i] + own.sums[w + i]) + (own.sums[2 * w + i] + own.sums[3 * w + i])) / own.total;
}

}  // namespace
