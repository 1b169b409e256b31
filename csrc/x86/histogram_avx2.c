/* Histograms with AVX2: blocks that stay in the first-level cache are first measured (min, max, NaN), which
 * settles the width of the bins, then counted. Eight bin numbers are computed at once. Long runs are counted in
 * four tables in turn, because a count that was just written is not at once ready to be read again. */
#include <immintrin.h>
#include <math.h>

#include "../kernels.h"

#define TARGET __attribute__((target("avx2")))
enum { BLOCK = 2048, CHUNK = 256, LONG_RUN = 1 << 14, FLUSH = 1 << 30 };

/* What a run of one channel updates. */
typedef struct {
    float *low;
    float *high;
    int64_t *counts;
    int32_t bits;
    int32_t half;
} channel;

/* Of one of the four; the same bin of two of them must not differ by a multiple of 4096 bytes. */
static inline int64_t table_size(int32_t half) {
    return 2 * (int64_t)half + QC_HISTOGRAM_TABLE_EXTRA;
}

TARGET static inline __m256i bins_of(__m256 x, __m256 scale, __m256i half) {
    const __m256 value = _mm256_add_ps(x, _mm256_setzero_ps()); /* -0 becomes +0, whose bits are 0 */
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), value);
    const __m256i j = _mm256_cvttps_epi32(_mm256_mul_ps(magnitude, scale));
    const __m256i next = _mm256_sub_epi32(j, _mm256_set1_epi32(-1));
    return _mm256_add_epi32(half, _mm256_sign_epi32(next, _mm256_castps_si256(value)));
}

/* At most CHUNK elements. */
TARGET static void find_bins(const float *x, int64_t n, float scale, int32_t half, uint32_t *bin) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_si256((__m256i *)(bin + i),
                            bins_of(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale), _mm256_set1_epi32(half)));
    for (; i < n; ++i) bin[i] = (uint32_t)qc_histogram_bin(x[i], scale, half);
}

static void count_in_place(const float *x, int64_t n, float scale, int32_t half, int64_t *counts) {
    uint32_t bin[CHUNK];
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t chunk = n - i < CHUNK ? n - i : CHUNK;
        find_bins(x + i, chunk, scale, half, bin);
        for (int64_t k = 0; k < chunk; ++k) ++counts[bin[k]];
    }
}

static void count_in_tables(const float *x, int64_t n, float scale, int32_t half, uint32_t *t0) {
    uint32_t bin[CHUNK];
    uint32_t *t1 = t0 + table_size(half), *t2 = t1 + table_size(half), *t3 = t2 + table_size(half);
    for (int64_t i = 0; i < n; i += CHUNK) {
        const int64_t chunk = n - i < CHUNK ? n - i : CHUNK;
        int64_t k = 0;
        find_bins(x + i, chunk, scale, half, bin);
        for (; k + 4 <= chunk; k += 4) {
            ++t0[bin[k]];
            ++t1[bin[k + 1]];
            ++t2[bin[k + 2]];
            ++t3[bin[k + 3]];
        }
        for (; k < chunk; ++k) ++t0[bin[k]];
    }
}

/* Moves the counts of the bins from first to last. */
static void flush_tables(uint32_t *t0, int32_t half, int32_t first, int32_t last, int64_t *counts) {
    uint32_t *t1 = t0 + table_size(half), *t2 = t1 + table_size(half), *t3 = t2 + table_size(half);
    for (int32_t b = first; b <= last; ++b) {
        counts[b] += (int64_t)t0[b] + t1[b] + t2[b] + t3[b];
        t0[b] = t1[b] = t2[b] = t3[b] = 0;
    }
}

static void flush_run(uint32_t *tables, const channel *c, float low, float high, int32_t exponent) {
    const float scale = qc_histogram_scale(exponent);
    flush_tables(tables, c->half, qc_histogram_bin(low, scale, c->half), qc_histogram_bin(high, scale, c->half),
                 c->counts);
}

/* A run of at most FLUSH elements of one channel. tables: zeros, and so they are left. */
static qc_status count_run(const float *x, int64_t n, const channel *c, uint32_t *tables) {
    int32_t exponent = qc_histogram_exponent(*c->low, *c->high, c->bits);
    for (int64_t i = 0; i < n; i += BLOCK) {
        const qc_min_max_params block = {1, 1, n - i < BLOCK ? n - i : BLOCK};
        float ends[2] = {*c->low, *c->high};
        if (qc_min_max_f32_avx2(&block, x + i, ends, NULL) != QC_OK) return QC_BAD_DATA;
        const int32_t grown = qc_histogram_exponent(ends[0], ends[1], c->bits);
        if (grown > exponent) {
            if (tables && i) flush_run(tables, c, *c->low, *c->high, exponent);
            qc_histogram_coarsen(c->counts, c->half, grown - exponent);
            exponent = grown;
        }
        *c->low = ends[0];
        *c->high = ends[1];
        if (tables) count_in_tables(x + i, block.inner, qc_histogram_scale(exponent), c->half, tables);
        else count_in_place(x + i, block.inner, qc_histogram_scale(exponent), c->half, c->counts);
    }
    if (tables) flush_run(tables, c, *c->low, *c->high, exponent);
    return QC_OK;
}

static qc_status count_runs(const qc_histogram_params *p, const float *x, float *ends, int64_t *counts,
                            uint32_t *tables) {
    const int32_t half = (int32_t)1 << p->bits;
    if (p->inner < LONG_RUN) tables = NULL;
    else memset(tables, 0, sizeof(uint32_t) * QC_HISTOGRAM_TABLES * (size_t)table_size(half));
    for (int64_t o = 0; o < p->outer; ++o) {
        for (int64_t c = 0; c < p->channels; ++c, x += p->inner) {
            const channel one = {ends + c, ends + p->channels + c, counts + c * (2 * half + 1), p->bits, half};
            for (int64_t i = 0; i < p->inner; i += FLUSH) {
                const int64_t n = p->inner - i < FLUSH ? p->inner - i : FLUSH;
                if (count_run(x + i, n, &one, tables) != QC_OK) return QC_BAD_DATA;
            }
        }
    }
    return QC_OK;
}

/* One element of each channel. */
TARGET static void count_row(const float *x, int64_t channels, const float *scale, int32_t half, int64_t *counts) {
    int64_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        int32_t bin[8];
        _mm256_storeu_si256((__m256i *)bin,
                            bins_of(_mm256_loadu_ps(x + c), _mm256_loadu_ps(scale + c), _mm256_set1_epi32(half)));
        for (int k = 0; k < 8; ++k, counts += 2 * half + 1) ++counts[bin[k]];
    }
    for (; c < channels; ++c, counts += 2 * half + 1) ++counts[qc_histogram_bin(x[c], scale[c], half)];
}

/* Channels last: [outer][channels], as many rows at a time as stay in the cache. */
static qc_status count_rows(const qc_histogram_params *p, const float *x, float *ends, int64_t *counts,
                            float *scale) {
    const int32_t half = (int32_t)1 << p->bits;
    const int64_t channels = p->channels, step = channels < BLOCK ? BLOCK / channels : 1;
    const float *low = ends, *high = ends + channels;
    for (int64_t o = 0; o < p->outer; o += step) {
        const qc_min_max_params block = {p->outer - o < step ? p->outer - o : step, channels, 1};
        for (int64_t c = 0; c < channels; ++c)
            scale[c] = qc_histogram_scale(qc_histogram_exponent(low[c], high[c], p->bits));
        if (qc_min_max_f32_avx2(&block, x, ends, NULL) != QC_OK) return QC_BAD_DATA;
        for (int64_t c = 0; c < channels; ++c) {
            const float now = qc_histogram_scale(qc_histogram_exponent(low[c], high[c], p->bits));
            if (now == scale[c]) continue;
            qc_histogram_coarsen(counts + c * (2 * half + 1), half, ilogbf(scale[c]) - ilogbf(now));
            scale[c] = now;
        }
        for (int64_t r = 0; r < block.outer; ++r, x += channels) count_row(x, channels, scale, half, counts);
    }
    return QC_OK;
}

qc_status qc_histogram_f32_avx2(const qc_histogram_params *p, void *const *tensors, void *scratch) {
    const float *input = (const float *)tensors[0];
    float *ends = (float *)tensors[1];
    int64_t *counts = (int64_t *)tensors[2];
    if (p->inner == 1 && p->channels > 1) return count_rows(p, input, ends, counts, (float *)scratch);
    return count_runs(p, input, ends, counts, (uint32_t *)scratch);
}
