// Registers of a processor as vectors of numbers, by the compiler's own vector types; intrinsics where those are slow.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

namespace {

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

inline Floats load(const float* from) {
    Floats x;
    std::memcpy(&x, from, sizeof x);
    return x;
}

inline Floats widened(const uint16_t* from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof halves);
#ifdef __AVX512F__
    return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)halves), 16);
#else
    return (Floats)(__builtin_convertvector(halves, Words) << 16);
#endif
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

inline float read(const float* from) { return *from; }

inline float read(const uint16_t* from) {
    const uint32_t bits = uint32_t(*from) << 16;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

inline void write(float* to, float x) { *to = x; }

inline void write(uint16_t* to, float x) { *to = rounded(x); }

// Each lane of `a` whose number has no bit H, and each of `b` whose number has it, plus the lane of the same vector H away.
template <int H, int... I>
inline Floats folded(Floats a, Floats b, std::integer_sequence<int, I...>) {
#ifdef __clang__
    const Floats own = __builtin_shufflevector(a, b, (I & H ? LANES + I : I)...);
    const Floats other = __builtin_shufflevector(a, b, ((I & H ? LANES : 0) + (I ^ H))...);
#else
    const Floats own = __builtin_shuffle(a, b, Ints{(I & H ? LANES + I : I)...});
    const Floats other = __builtin_shuffle(a, b, Ints{((I & H ? LANES : 0) + (I ^ H))...});
#endif
    return own + other;
}

// The sums of 2 H vectors, each in the lane of its number, and again every 2 H lanes.
template <int H>
inline Floats sums_of(Floats* x) {
    if constexpr (H == 0) {
        return *x;
    } else {
#pragma GCC unroll 8
        for (int i = 0; i < H; ++i) x[i] = folded<H>(x[i], x[i + H], std::make_integer_sequence<int, LANES>());
        return sums_of<H / 2>(x);
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

}  // namespace
