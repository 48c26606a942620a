// One pass of a Transformer decoder over some tokens, on the cores of a CPU: what `models/decoder.py` computes, in one call.
//
// A token is a row with a slot and a place of its own, so that one token of each of many texts, a chunk of a prompt, or a draft to
// be checked are all the same to it. Keys and values of a row are written before any row attends, and a row sees the places of its
// slot up to its own.
//
// A matrix lies in panels, of as many outputs as a register has lanes, read a register at a time from the first byte to the last; a
// tile of some panels times some rows stays in registers. Sums are taken in the same order for any number of rows: a text does not
// depend on those beside it.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

constexpr int CHUNK = 96;  // rows that go through all blocks together
// Numbers of 32 bits in a register, which are the outputs of a panel; and rows of a tile, of which two panels of sums fill the registers.
#if defined(__AVX512F__)
constexpr int LANES = 16, MOST = 12;
#elif defined(__AVX__)
constexpr int LANES = 8, MOST = 4;
#else
constexpr int LANES = 4, MOST = 4;
#endif
constexpr int BYTES = 4 * LANES;

typedef float Floats __attribute__((vector_size(BYTES)));
typedef int32_t Ints __attribute__((vector_size(BYTES)));
typedef uint32_t Words __attribute__((vector_size(BYTES)));
typedef uint16_t Halves __attribute__((vector_size(BYTES / 2)));

enum Kind : int32_t { FLOAT32, WIDENED, BFLOAT16, INT8, INT4 };

}  // namespace

extern "C" {

// As `decoder.py` fills them in.
struct Matrix {
    const char* numbers;    // (panels, k / step, lanes, step), of 4 · lanes bytes a step
    const void* scale;      // INT8: float (panels, lanes). INT4: bfloat16 (panels, groups, lanes)
    const uint16_t* offset; // INT4: bfloat16 (panels, groups, lanes)
    const int32_t* sums;    // INT8: of the numbers of each output (panels, lanes)
    const float* bias;      // (panels, lanes), or none
    int32_t panels, k, kind, group;
};

struct Norm {
    const float *gain, *bias;  // with a bias it is LayerNorm, else RMSNorm
};

struct Block {
    Matrix qkv, out, up, down;  // of a gated network `up` has panels of gate and up in turn
    Norm attention, feed_forward;
    const float *query, *key;  // gains of the norms of heads, or none
};

struct Decoder {
    const Block* blocks;
    Matrix output;
    Norm norm;
    const void* embedding;         // (v, width) of its kind
    const float* embedding_scale;  // INT8: of each token
    const float* positions;        // learned ones (context, width), or none
    const float* omega;            // of rotary positions (head_width / 2), or none
    float eps, gain;               // of norms; of cosines and sines
    int32_t embedding_kind, n_blocks, width, vocab, n_heads, n_kv_heads, head_width, gated, threads, cache_kind;
    int32_t context;  // places that there are positions for, where they are learned
};

struct Tokens {
    const int64_t *ids, *slots, *places;  // of each row
    const int64_t* wanted;                // rows, in their order, whose log-probabilities are wanted
    void *const *keys, *const *values;    // of each block (slots, kv_heads, capacity, head_width)
    float* scores;                        // (wanted rows, lanes · panels of the output)
    int64_t rows, n_wanted, capacity, n_slots;
};

extern const int32_t inkstone_lanes;

// 0, or the number, from 1 on, of a row whose token, slot or place cannot be; then nothing was done.
int64_t inkstone_decode(const Decoder* decoder, const Tokens* tokens);
}

namespace {

inline Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

inline Floats widened(const uint16_t* from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof halves);
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
}

inline Floats load(const uint16_t* from) { return widened(from); }

inline void store(float* to, Floats x) { std::memcpy(to, &x, sizeof x); }

inline Floats all(float x) { return x - Floats{}; }

inline uint16_t rounded(float x) {  // to bfloat16, halves to even
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return uint16_t(bits >> 16 | 64);
    return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float sum(Floats x) {
#ifdef __AVX512F__
    return _mm512_reduce_add_ps((__m512)x);
#else
    float total = 0;
    for (int i = 0; i < LANES; ++i) total += x[i];
    return total;
#endif
}

inline float most(Floats x) {
    float greatest = x[0];
    for (int i = 1; i < LANES; ++i) greatest = std::max(greatest, x[i]);
    return greatest;
}

// e^x by 2^n e^r, |r| ≤ ln 2 / 2, the latter as a polynomial (Cephes' expf); below e^-87 it is next to nothing.
inline Floats exponential(Floats x) {
    x = x < -87.0f ? all(-87.0f) : x;
    x = x > 88.0f ? all(88.0f) : x;
    const Ints n = __builtin_convertvector(x * 1.44269504f + (x < 0 ? all(-0.5f) : all(0.5f)), Ints);
    const Floats whole = __builtin_convertvector(n, Floats);
    const Floats r = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
    Floats p = all(1.9875691500e-4f);
    for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        p = p * r + c;
    return (p * r * r + r + 1.0f) * (Floats)((n + 127) << 23);
}

inline Floats silu(Floats x) { return x / (1.0f + exponential(-x)); }

inline Floats gelu(Floats x) {  // by tanh
    return x / (1.0f + exponential(-1.59576912f * (x + 0.044715f * x * x * x)));
}

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
            for (int p = 0; p < P; ++p) std::memcpy(&words[p], w[p] + BYTES * at, BYTES);
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

// Where all threads of a team wait for the last of them: awake for as long as a part should take, then asleep, since a thread that
// is awaited may not be running where the machine has other work.
struct Meeting {
    static constexpr int AWAKE = 1000;  // looks, some tens of microseconds
    std::atomic<int32_t> here{0}, number{0};

    void attend(int size) {
        const int32_t own = number.load(std::memory_order_relaxed);
        if (here.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
            here.store(0, std::memory_order_relaxed);
            number.store(own + 1, std::memory_order_release);
            number.notify_all();
            return;
        }
        for (int look = 0; look < AWAKE; ++look) {
            if (number.load(std::memory_order_acquire) != own) return;
#ifdef __x86_64__
            __builtin_ia32_pause();
#endif
        }
        number.wait(own, std::memory_order_acquire);
    }
};

struct Team {
    int number, size;
    Meeting& meeting;

    void meet() const {
        if (size > 1) meeting.attend(size);
    }

    // Its part of n things that are cut between multiples of `unit`.
    void share(int64_t n, int unit, int64_t& first, int64_t& last) const {
        const int64_t units = (n + unit - 1) / unit;
        first = std::min(n, units * number / size * unit), last = std::min(n, units * (number + 1) / size * unit);
    }

    template <class Put>
    void multiply(const Matrix& m, const Operand& x, int64_t rows, const Put& put) const {
        int64_t a, b;
        share(m.panels, 2, a, b);
        const int first = int(a), last = int(b);
        if (m.kind == FLOAT32) multiply_kind<FLOAT32>(m, first, last, x, rows, put);
        if (m.kind == WIDENED) multiply_kind<WIDENED>(m, first, last, x, rows, put);
        if (m.kind == BFLOAT16) multiply_kind<BFLOAT16>(m, first, last, x, rows, put);
        if (m.kind == INT8) multiply_kind<INT8>(m, first, last, x, rows, put);
        if (m.kind == INT4) multiply_kind<INT4>(m, first, last, x, rows, put);
        meet();
    }
};

void normalise(const float* x, const float* gain, const float* bias, int n, float eps, float* y) {
    float mean = 0, square = 0;
    if (bias) {
#pragma omp simd reduction(+ : mean)
        for (int i = 0; i < n; ++i) mean += x[i];
        mean /= float(n);
    }
#pragma omp simd reduction(+ : square)
    for (int i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
    const float scale = 1 / std::sqrt(square / float(n) + eps);
    for (int i = 0; i < n; ++i) y[i] = (x[i] - mean) * scale * gain[i] + (bias ? bias[i] : 0);
}

inline float read(const float* from) { return *from; }

inline float read(const uint16_t* from) {
    const uint32_t bits = uint32_t(*from) << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

inline void write(float* to, float x) { *to = x; }

inline void write(uint16_t* to, float x) { *to = rounded(x); }

template <class Number>
float dot(const float* a, const Number* b, int n) {
    Floats total{};
    int i = 0;
    for (; i + LANES <= n; i += LANES) total += load(a + i) * load(b + i);
    float rest = 0;
    for (; i < n; ++i) rest += a[i] * read(b + i);
    return sum(total) + rest;
}

// o = Σ p v over so many places.
template <class Number>
void mix(const float* p, const Number* v, int64_t places, int n, float* o) {
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        Floats part[4] = {};
        int64_t at = 0;
        for (; at + 4 <= places; at += 4)
            for (int j = 0; j < 4; ++j) part[j] += p[at + j] * load(v + (at + j) * n + i);
        for (; at < places; ++at) part[0] += p[at] * load(v + at * n + i);
        store(o + i, (part[0] + part[1]) + (part[2] + part[3]));
    }
    for (; i < n; ++i) {
        float total = 0;
        for (int64_t at = 0; at < places; ++at) total += p[at] * read(v + at * n + i);
        o[i] = total;
    }
}

// The greatest of n numbers, which are made a multiple of LANES by −∞ behind them.
float greatest(float* x, int64_t n) {
    for (int64_t i = n; i < (n + LANES - 1) / LANES * LANES; ++i) x[i] = -INFINITY;
    Floats lanes = all(-INFINITY);
    for (int64_t i = 0; i < n; i += LANES) lanes = load(x + i) > lanes ? load(x + i) : lanes;
    return most(lanes);
}

// x ← e^(x − max x) over n numbers, with room for LANES more; their sum.
float exponentials(float* x, int64_t n) {
    const float shift = greatest(x, n);
    Floats total{};
    for (int64_t i = 0; i < n; i += LANES) {
        const Floats own = load(x + i);
        const Floats power = own == -INFINITY ? Floats{} : exponential(own - shift);
        total += power;
        store(x + i, power);
    }
    return sum(total);
}

// Some rows on their way through all blocks; each method is one part that the team shares.
struct Pass {
    const Decoder& d;
    const Tokens& tokens;
    int64_t first, rows;
    int across;
    std::vector<float> x, normal, heads, mixed, inner, cosine, sine;
    std::vector<std::vector<float>> attended;  // of each thread
    Operand operand;

    Pass(const Decoder& d, const Tokens& tokens)
        : d(d), tokens(tokens), across(d.n_heads * d.head_width), attended(d.threads) {}

    static int64_t stride(const Matrix& m) { return int64_t(m.panels) * LANES; }

    void reserve() {
        const Block& b = d.blocks[0];
        rows = std::min<int64_t>(CHUNK, tokens.rows);
        x.resize(rows * stride(b.out)), normal.resize(rows * d.width), heads.resize(rows * stride(b.qkv));
        mixed.resize(rows * across), inner.resize(rows * stride(b.up));
        cosine.resize(rows * d.head_width / 2), sine.resize(rows * d.head_width / 2);
        for (const Matrix* m : {&b.qkv, &b.out, &b.up, &b.down, &d.output}) operand.reserve(*m, rows);
        for (auto& own : attended) own.resize(tokens.capacity + LANES + d.head_width);
    }

    void all_blocks(const Team& team) {
        for (int number = 0; number < d.n_blocks; ++number) {
            const Block& b = d.blocks[number];
            prepare(team, b.qkv, x.data(), stride(b.out), &b.attention);
            multiply(team, b.qkv, [](Floats& to, Floats y) { to = y; }, heads.data());
            if (d.cache_kind == FLOAT32) attention<float>(team, b, number);
            else attention<uint16_t>(team, b, number);
            prepare(team, b.out, mixed.data(), across, nullptr);
            multiply(team, b.out, [](Floats& to, Floats y) { to += y; }, x.data());
            prepare(team, b.up, x.data(), stride(b.out), &b.feed_forward);
            feed_forward(team, b);
            prepare(team, b.down, inner.data(), stride(b.up) / (d.gated ? 2 : 1), nullptr);
            multiply(team, b.down, [](Floats& to, Floats y) { to += y; }, x.data());
        }
    }

    void embed(const Team& team) {
        const int half = d.head_width / 2;
        for (int64_t r = team.number; r < rows; r += team.size) {
            const int64_t id = tokens.ids[first + r], place = tokens.places[first + r];
            float* to = x.data() + r * stride(d.blocks[0].out);
            for (int i = 0; i < d.width; ++i) {
                const int64_t at = id * d.width + i;
                if (d.embedding_kind == FLOAT32) to[i] = static_cast<const float*>(d.embedding)[at];
                else if (d.embedding_kind == BFLOAT16) to[i] = read(static_cast<const uint16_t*>(d.embedding) + at);
                else to[i] = float(static_cast<const int8_t*>(d.embedding)[at]) * d.embedding_scale[id];
                if (d.positions) to[i] += d.positions[place * d.width + i];
            }
            for (int i = 0; d.omega && i < half; ++i) {
                const float angle = float(place) * d.omega[i];
                cosine[r * half + i] = d.gain * std::cos(angle), sine[r * half + i] = d.gain * std::sin(angle);
            }
        }
        team.meet();
    }

    // Rows as the product with a matrix takes them, behind a norm where there is one.
    void prepare(const Team& team, const Matrix& m, const float* from, int64_t from_stride, const Norm* norm) {
        for (int64_t r = team.number; r < rows; r += team.size) {
            const float* own = from + r * from_stride;
            float* behind = normal.data() + r * d.width;
            if (norm) normalise(own, norm->gain, norm->bias, m.k, d.eps, behind);
            operand.set(m, r, norm ? behind : own);
        }
        if (team.number == 0) operand.values = norm ? normal.data() : from, operand.stride = norm ? d.width : from_stride;
        team.meet();
    }

    template <class Put>
    void multiply(const Team& team, const Matrix& m, const Put& put, float* y) {
        team.multiply(m, operand, rows, [&](int panel, int64_t row, const Floats* sums, int count) {
            for (int p = 0; p < count; ++p) {
                const int64_t at = int64_t(panel + p) * LANES;
                Floats own = load(y + row * stride(m) + at);
                put(own, m.bias ? sums[p] + load(m.bias + at) : sums[p]);
                store(y + row * stride(m) + at, own);
            }
        });
    }

    void feed_forward(const Team& team, const Block& b) {
        const int64_t to = stride(b.up) / (d.gated ? 2 : 1);
        team.multiply(b.up, operand, rows, [&](int panel, int64_t row, const Floats* sums, int count) {
            const auto own = [&](int p) { return b.up.bias ? sums[p] + load(b.up.bias + (panel + p) * LANES) : sums[p]; };
            float* y = inner.data() + row * to;
            if (d.gated)
                for (int p = 0; p + 1 < count; p += 2) store(y + (panel + p) / 2 * LANES, silu(own(p)) * own(p + 1));
            else
                for (int p = 0; p < count; ++p) store(y + (panel + p) * LANES, gelu(own(p)));
        });
    }

    // A head of a query or key behind its norm, turned by its position.
    void turn(float* head, const float* gain, int64_t row) const {
        const int half = d.head_width / 2;
        if (gain) normalise(head, gain, nullptr, d.head_width, d.eps, head);
        if (!d.omega) return;
        const float *c = cosine.data() + row * half, *s = sine.data() + row * half;
        for (int i = 0; i < half; ++i) {
            const float left = head[i], right = head[half + i];
            head[i] = left * c[i] - right * s[i], head[half + i] = right * c[i] + left * s[i];
        }
    }

    template <class Number>
    void attention(const Team& team, const Block& b, int number) {
        const int w = d.head_width, each = d.n_heads / d.n_kv_heads;
        auto *keys = static_cast<Number*>(tokens.keys[number]), *values = static_cast<Number*>(tokens.values[number]);
        const auto held = [&](int64_t r, int64_t g) { return (tokens.slots[first + r] * d.n_kv_heads + g) * tokens.capacity * w; };
        const auto head = [&](int64_t r, int64_t h) { return heads.data() + r * stride(b.qkv) + h * w; };
        for (int64_t item = team.number; item < rows * d.n_kv_heads; item += team.size) {
            const int64_t r = item / d.n_kv_heads, g = item % d.n_kv_heads;
            const int64_t at = held(r, g) + tokens.places[first + r] * w;
            float *k = head(r, d.n_heads + g), *v = head(r, d.n_heads + d.n_kv_heads + g);
            turn(k, b.key, r);
            for (int i = 0; i < w; ++i) write(keys + at + i, k[i]), write(values + at + i, v[i]);
        }
        team.meet();
        float* p = attended[team.number].data();
        for (int64_t item = team.number; item < rows * d.n_heads; item += team.size) {
            const int64_t r = item / d.n_heads, h = item % d.n_heads, from = held(r, h / each);
            const int64_t places = tokens.places[first + r] + 1;
            float *q = head(r, h), *o = mixed.data() + r * across + h * w;
            turn(q, b.query, r);
            for (int i = 0; i < w; ++i) q[i] /= std::sqrt(float(w));
            for (int64_t at = 0; at < places; ++at) p[at] = dot(q, keys + from + at * w, w);
            const float total = exponentials(p, places);
            mix(p, values + from, places, w, o);
            for (int i = 0; i < w; ++i) o[i] /= total;
        }
        team.meet();
    }

    // Log-probabilities after the rows of the chunk of which they are wanted.
    void score(const Team& team, int64_t& done) {
        const int64_t begin = done, wide_row = stride(d.output);
        int64_t n = 0;
        while (begin + n < tokens.n_wanted && tokens.wanted[begin + n] < first + rows) ++n;
        float* scores = tokens.scores + begin * wide_row;
        for (int64_t i = team.number; i < n; i += team.size) {
            float* own = normal.data() + i * d.width;
            normalise(x.data() + (tokens.wanted[begin + i] - first) * stride(d.blocks[0].out), d.norm.gain, d.norm.bias, d.width, d.eps, own);
            operand.set(d.output, i, own);
        }
        if (team.number == 0) operand.values = normal.data(), operand.stride = d.width;
        team.meet();
        team.multiply(d.output, operand, n, [&](int panel, int64_t row, const Floats* sums, int count) {
            for (int p = 0; p < count; ++p) store(scores + row * wide_row + (panel + p) * LANES, sums[p]);
        });
        for (int64_t i = team.number; i < n; i += team.size) log_softmax(scores + i * wide_row);
        team.meet();
        done += n;
    }

    void log_softmax(float* y) const {
        const float shift = greatest(y, d.vocab);
        Floats total{};
        for (int64_t i = 0; i < d.vocab; i += LANES) total += exponential(load(y + i) - shift);
        const float whole = shift + std::log(sum(total));
        for (int64_t i = 0; i < d.vocab; i += LANES) store(y + i, load(y + i) - whole);
    }
};

}  // namespace

const int32_t inkstone_lanes = LANES;

int64_t inkstone_decode(const Decoder* decoder, const Tokens* tokens) {
    const int64_t places = decoder->positions ? std::min<int64_t>(decoder->context, tokens->capacity) : tokens->capacity;
    const auto below = [](int64_t number, int64_t end) { return uint64_t(number) < uint64_t(end); };
    for (int64_t r = 0; r < tokens->rows; ++r)
        if (!below(tokens->ids[r], decoder->vocab) || !below(tokens->slots[r], tokens->n_slots) || !below(tokens->places[r], places)) return r + 1;
    for (int64_t i = 0; i < tokens->n_wanted; ++i)
        if (!below(tokens->wanted[i], tokens->rows) || (i > 0 && tokens->wanted[i] <= tokens->wanted[i - 1])) return -(i + 1);
    Pass pass(*decoder, *tokens);
    pass.reserve();
    Meeting meeting;
#pragma omp parallel num_threads(decoder->threads)
    {
#ifdef _OPENMP
        const Team team{omp_get_thread_num(), omp_get_num_threads(), meeting};
#else
        const Team team{0, 1, meeting};
#endif
        int64_t done = 0;
        for (int64_t first = 0; first < tokens->rows; first += CHUNK) {
            if (team.number == 0) pass.first = first, pass.rows = std::min<int64_t>(CHUNK, tokens->rows - first);
            team.meet();
            pass.embed(team);
            pass.all_blocks(team);
            pass.score(team, done);
        }
    }
    return 0;
}
