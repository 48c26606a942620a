// One pass of a Transformer decoder over some tokens, on the cores of a CPU: what `models/decoder.py` computes, in one call.
//
// A token is a row with a slot and a place of its own, so that one token of each of many texts, a chunk of a prompt, or a draft to
// be checked are all the same to it. Keys and values of a row are written before any row attends, and a row sees the places of its
// slot up to its own.

#include <atomic>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "attention.h"
#include "matrix_products.h"

extern "C" {

// As `decoder.py` fills them in, with `Matrix`.
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

// 0; or where nothing was done, the number from 1 on of a row whose token, slot or place cannot be, or minus that of one of `wanted`.
int64_t inkstone_decode(const Decoder* decoder, const Tokens* tokens);
}

namespace {

constexpr int CHUNK = 96;  // rows that go through all blocks together

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

// Some rows on their way through all blocks; each method is one part that the team shares.
struct Pass {
    const Decoder& d;
    const Tokens& tokens;
    int64_t first, rows;
    int across;
    std::vector<float> x, normal, heads, mixed, inner, cosine, sine;
    std::vector<std::vector<float>> attended;  // of each thread
    std::vector<std::vector<Line>> lines;
    std::vector<int64_t> runs;  // where rows of another text begin, or of the same after a few, and the end
    int64_t n_runs, seen;  // `seen`: places that any row sees, with room for LANES more
    Operand operand;

    Pass(const Decoder& d, const Tokens& tokens)
        : d(d), tokens(tokens), across(d.n_heads * d.head_width), attended(d.threads), lines(d.threads) {}

    static int64_t stride(const Matrix& m) { return int64_t(m.panels) * LANES; }

    void reserve() {
        const Block& b = d.blocks[0];
        rows = std::min<int64_t>(CHUNK, tokens.rows);
        x.resize(rows * stride(b.out)), normal.resize(rows * d.width), heads.resize(rows * stride(b.qkv));
        mixed.resize(rows * across), inner.resize(rows * stride(b.up));
        cosine.resize(rows * d.head_width / 2), sine.resize(rows * d.head_width / 2);
        for (const Matrix* m : {&b.qkv, &b.out, &b.up, &b.down, &d.output}) operand.reserve(*m, rows);
        seen = LANES;
        for (int64_t r = 0; r < tokens.rows; ++r) seen = std::max(seen, tokens.places[r] + 1 + LANES);
        const int64_t most = std::min(rows, rows_of_run()) * (d.n_heads / d.n_kv_heads);  // lines that attend together
        for (auto& own : attended) own.resize(most * (seen + 4 * d.head_width));
    }

    int64_t rows_of_run() const { return std::max(1, 16 * d.n_kv_heads / d.n_heads); }

    // Which rows come next.
    void begin(int64_t from) {
        first = from, rows = std::min<int64_t>(CHUNK, tokens.rows - from);
        runs.clear();
        for (int64_t r = 0; r < rows; ++r)
            if (r == 0 || tokens.slots[first + r] != tokens.slots[first + r - 1] || r - runs.back() == rows_of_run()) runs.push_back(r);
        n_runs = int64_t(runs.size());
        runs.push_back(rows);
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
        // Heads that look at the same keys go together, if that leaves no thread idle, and so do rows of one text.
        const int64_t groups = n_runs * d.n_kv_heads, together = groups % team.size == 0 || groups >= 8 * team.size ? each : 1;
        std::vector<Line>& own = lines[team.number];
        for (int64_t item = team.number; item < n_runs * d.n_heads / together; item += team.size) {
            const int64_t begin = item * together, run = begin / d.n_heads, g = begin % d.n_heads / each;
            float* room = attended[team.number].data();
            own.clear();
            for (int64_t r = runs[run]; r < runs[run + 1]; ++r) {
                const int64_t places = tokens.places[first + r] + 1;
                for (int64_t h = begin % d.n_heads; h < begin % d.n_heads + together; ++h, room += seen + 4 * w) {
                    float* q = head(r, h);
                    turn(q, b.query, r);
                    for (int i = 0; i < w; ++i) q[i] /= std::sqrt(float(w));
                    own.push_back({q, mixed.data() + r * across + h * w, room, room + seen, places, 0});
                }
            }
            attend(own, keys + held(runs[run], g), values + held(runs[run], g), w);
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
            if (team.number == 0) pass.begin(first);
            team.meet();
            pass.embed(team);
            pass.all_blocks(team);
            pass.score(team, done);
        }
    }
    return 0;
}
