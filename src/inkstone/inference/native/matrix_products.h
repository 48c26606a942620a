// Products of a matrix and some rows, for every form that weights are kept in.
//
// A matrix lies in panels, of as many outputs as a register has lanes, read a register at a time from the first byte to the last; a
// tile of some panels times some rows stays in registers. Sums are taken in the same order for any number of rows: a text does not
// depend on those beside it.

#pragma once

#include <vector>

#include "registers.h"

namespace {

enum Kind : int32_t { FLOAT32, WIDENED, BFLOAT16, INT8, INT4 };

}  // namespace

// As `decoder.py` fills it in.
struct Matrix {
    const char* numbers;    // (panels, k / step, lanes, step), of 4 · lanes bytes a step
    const void* scale;      // INT8: float (panels, lanes). INT4: bfloat16 (panels, groups, lanes)
    const uint16_t* offset; // INT4: bfloat16 (panels, groups, lanes)
    const int32_t* sums;    // INT8: of the numbers of each output (panels, lanes)
    const float* bias;      // (panels, lanes), or none
    int32_t panels, k, kind, group;
};

namespace {

// Rows as a product reads them: as they are, as bfloat16, or as 8-bit integers with scales.
struct Operand {
    const float* values;        // as they are
    int64_t stride;             // of their rows
    std::vector<char> numbers;
    std::vector<float> scale;   // INT8: of each row. INT4: of each group of each row
    std::vector<int32_t> sums;  // of the numbers that share a scale

    static int64_t groups(const Matrix& m) { return m.kind == INT4 ? m.k / m.group : 1; }

    void reserve(const Matrix& m, size_t rows) {
        numbers.resize(std::max(numbers.size(), 2 * rows * m.k));
        scale.resize(std::max(scale.size(), rows * groups(m)));
        sums.resize(scale.size());
    }

    void set(const Matrix& m, int64_t row, const float* x) {
        if (m.kind == BFLOAT16) {
            auto* to = reinterpret_cast<uint16_t*>(numbers.data()) + row * m.k;
            for (int i = 0; i < m.k; ++i) to[i] = rounded(x[i]);
        } else if (m.kind == INT8 || m.kind == INT4) {
            const int64_t n = groups(m), length = m.k / n;
            const int32_t shift = m.kind == INT8 ? 128 : 0;  // where weights have signs, these have none
            char* to = numbers.data() + row * m.k;
            for (int64_t own = row * n; own < (row + 1) * n; ++own, x += length, to += length) {
                int32_t most = 0;  // bits of the largest magnitude; those of infinity and of what is no number are above all others
#pragma omp simd reduction(max : most)
                for (int i = 0; i < length; ++i) {
                    int32_t bits;
                    std::memcpy(&bits, x + i, 4);
                    most = std::max(most, bits & 0x7fffffff);
                }
                if (most >= 0x7f800000) {  // no integer stands for it, and it must show
                    std::memset(to, 0, length), scale[own] = NAN, sums[own] = 0;
                    continue;
                }
                float reach;
                std::memcpy(&reach, &most, 4);
                reach = std::max(reach, 1e-30f);
                const float per = 127 / reach;
                int32_t total = 0;
#pragma omp simd reduction(+ : total)
                for (int i = 0; i < length; ++i) {
                    const auto level = int32_t(std::nearbyint(x[i] * per));
                    total += level;
                    to[i] = char(level + shift);
                }
                scale[own] = reach / 127;
                sums[own] = total;
            }
        }
    }
};

// acc + Σ of four products of bytes, the first of each unsigned.
inline Ints products(Ints acc, Ints bytes, Ints signed_bytes) {
#ifdef __AVX512VNNI__
    return (Ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)bytes, (__m512i)signed_bytes);
#else
    for (int shift = 0; shift < 32; shift += 8)
        acc += (Ints)((Words)bytes >> shift & 0xffu) * (signed_bytes << (24 - shift) >> 24);
    return acc;
#endif
}

inline Ints four(const char* bytes) {  // the same four bytes in each lane
    int32_t word;
    std::memcpy(&word, bytes, 4);
    return word - Ints{};
}

template <int KIND>
struct Step;  // a register of a panel, for so many inputs

template <>
struct Step<FLOAT32> {
    static constexpr int INPUTS = 1;
    typedef Floats Sum;
    static const char* row(const Operand& x, int64_t row, int) { return reinterpret_cast<const char*>(x.values + row * x.stride); }
    static Floats add(Floats acc, Words w, const char* x, int at) {
        return acc + (Floats)w * reinterpret_cast<const float*>(x)[at];
    }
};

template <>
struct Step<WIDENED> {  // weights of bfloat16 times inputs of single precision
    static constexpr int INPUTS = 2;
    typedef Floats Sum;
    static const char* row(const Operand& x, int64_t row, int k) { return Step<FLOAT32>::row(x, row, k); }
    static Floats add(Floats acc, Words w, const char* x, int at) {
        const float* pair = reinterpret_cast<const float*>(x) + 2 * at;
        return acc + (Floats)(w << 16) * pair[0] + (Floats)(w & 0xffff0000u) * pair[1];
    }
};

template <>
struct Step<BFLOAT16> {
    static constexpr int INPUTS = 2;
    typedef Floats Sum;
    static const char* row(const Operand& x, int64_t row, int k) { return x.numbers.data() + 2 * row * k; }
    static Floats add(Floats acc, Words w, const char* x, int at) {
        const Ints pair = four(x + 4 * at);
#ifdef __AVX512BF16__
        return (Floats)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)pair);
#else
        return acc + (Floats)(w << 16) * (Floats)(pair << 16) + (Floats)(w & 0xffff0000u) * (Floats)(pair & int(0xffff0000u));
#endif
    }
};

template <>
struct Step<INT8> {
    static constexpr int INPUTS = 4;
    typedef Ints Sum;
    static const char* row(const Operand& x, int64_t row, int k) { return x.numbers.data() + row * k; }
    static Ints add(Ints acc, Words w, const char* x, int at) { return products(acc, four(x + 4 * at), (Ints)w); }
};

inline Floats finished(const Matrix&, int, const Operand&, int64_t, Floats sum) { return sum; }

inline Floats finished(const Matrix& m, int panel, const Operand& x, int64_t row, Ints sum) {
    Ints sums;
    std::memcpy(&sums, m.sums + panel * LANES, sizeof sums);
    const Floats scale = load(static_cast<const float*>(m.scale) + panel * LANES);
    return __builtin_convertvector(sum - 128 * sums, Floats) * (scale * x.scale[row]);
}

// Registers of a panel that are on their way from memory. For one row the processor's own foresight is enough.
constexpr int AHEAD = 64;

// P panels times R rows.
template <int KIND, int P, int R>
struct Tile {
    static inline void multiply(const Matrix& m, int panel, const Operand& x, int64_t row, Floats (&y)[R][P]) {
        typedef Step<KIND> S;
        const int steps = m.k / S::INPUTS;
        const char *w[P], *rows[R];
        for (int p = 0; p < P; ++p) w[p] = m.numbers + int64_t(panel + p) * steps * BYTES;
        for (int r = 0; r < R; ++r) rows[r] = S::row(x, row + r, m.k);
        typename S::Sum acc[P][R] = {};
        for (int at = 0; at < steps; ++at) {
            Words words[P];
#pragma GCC unroll 4
            for (int p = 0; p < P; ++p) {
                std::memcpy(&words[p], w[p] + BYTES * at, BYTES);
                if constexpr (R > 1) __builtin_prefetch(w[p] + BYTES * (at + AHEAD));
            }
#pragma GCC unroll 12
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                for (int p = 0; p < P; ++p) acc[p][r] = S::add(acc[p][r], words[p], rows[r], at);
        }
        for (int p = 0; p < P; ++p)
            for (int r = 0; r < R; ++r) y[r][p] = finished(m, panel + p, x, row + r, acc[p][r]);
    }
};

template <int P, int R>
struct Tile<INT4, P, R> {
    // w = s (q − 8) + o, so that with x = t · a:  Σ w x = t (s (Σ q a − 8 Σ a) + o Σ a), for each group.
    static inline void multiply(const Matrix& m, int panel, const Operand& x, int64_t row, Floats (&y)[R][P]) {
        const int groups = m.k / m.group, steps = m.group / 8;
        for (int p = 0; p < P; ++p)
            for (int r = 0; r < R; ++r) y[r][p] = Floats{};
        for (int g = 0; g < groups; ++g) {
            Ints acc[P][R];
#pragma GCC unroll 12
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
                for (int p = 0; p < P; ++p) acc[p][r] = -8 * x.sums[(row + r) * groups + g] - Ints{};
            for (int at = 0; at < steps; ++at) {
                Words low[P], high[P];
#pragma GCC unroll 4
                for (int p = 0; p < P; ++p) {
                    std::memcpy(&low[p], m.numbers + ((int64_t(panel + p) * groups + g) * steps + at) * BYTES, BYTES);
                    high[p] = low[p] >> 4 & 0x0f0f0f0fu;
                    low[p] &= 0x0f0f0f0fu;
                }
#pragma GCC unroll 12
                for (int r = 0; r < R; ++r) {
                    const char* bytes = x.numbers.data() + (row + r) * m.k + g * m.group + 8 * at;
#pragma GCC unroll 4
                    for (int p = 0; p < P; ++p)
                        acc[p][r] = products(products(acc[p][r], (Ints)low[p], four(bytes)), (Ints)high[p], four(bytes + 4));
                }
            }
#pragma GCC unroll 4
            for (int p = 0; p < P; ++p) {
                const int64_t at = (int64_t(panel + p) * groups + g) * LANES;
                const Floats scale = widened(static_cast<const uint16_t*>(m.scale) + at), offset = widened(m.offset + at);
#pragma GCC unroll 12
                for (int r = 0; r < R; ++r) {
                    const int64_t own = (row + r) * groups + g;
                    y[r][p] += (scale * __builtin_convertvector(acc[p][r], Floats) + offset * float(x.sums[own])) * x.scale[own];
                }
            }
        }
    }
};

// y = W x for all rows and the panels from `first` to before `last`: `put(panel, row, y of so many panels, how many)`.
template <int KIND, int P, int R, class Put>
inline void multiply_rows(const Matrix& m, int panel, const Operand& x, int64_t rows, int64_t row, const Put& put) {
    for (; row + R <= rows; row += R) {
        Floats y[R][P];
        Tile<KIND, P, R>::multiply(m, panel, x, row, y);
        for (int r = 0; r < R; ++r) put(panel, row + r, y[r], P);
    }
    if constexpr (R > 1) multiply_rows<KIND, P, (R == 12 ? 8 : R / 2)>(m, panel, x, rows, row, put);
}

template <int KIND, class Put>
inline void multiply_kind(const Matrix& m, int first, int last, const Operand& x, int64_t rows, const Put& put) {
    int panel = first;
    if (rows == 1)
        for (; panel + 4 <= last; panel += 4) multiply_rows<KIND, 4, 1>(m, panel, x, 1, 0, put);
    for (; panel + 2 <= last; panel += 2) multiply_rows<KIND, 2, MOST>(m, panel, x, rows, 0, put);
    if (panel < last) multiply_rows<KIND, 1, MOST>(m, panel, x, rows, 0, put);
}

}  // namespace
