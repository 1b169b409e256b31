/* The part of the 8-bit matrix product that does not depend on the instruction set. */
#include "gemm.h"

#include <emmintrin.h>
#include <stddef.h>
#include <string.h>

void qc_copy_flipped(uint8_t *to, const uint8_t *from, int64_t count, uint8_t flip) {
    if (flip == 0) {
        memcpy(to, from, (size_t)count);
        return;
    }
    const __m128i bits = _mm_set1_epi8((char)flip);
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        _mm_storeu_si128((__m128i *)(void *)(to + i), _mm_xor_si128(bytes, bits));
    }
    for (; i < count; ++i) to[i] = from[i] ^ flip;
}

void qc_gemm_prepare(const qc_gemm *g, const int32_t *bias) {
    const int64_t padded = qc_round_up(g->units, QC_LANES);
    const int32_t *sums =
        (const int32_t *)(const void *)(g->packed + padded * qc_round_up(g->depth, QC_QUAD));
    for (int64_t unit = 0; unit < padded; ++unit) {
        const uint32_t b = bias != NULL && unit < g->units ? (uint32_t)bias[unit] : 0;
        g->start[unit] = (int32_t)(b + (uint32_t)g->input_shift * (uint32_t)sums[unit]);
    }
}

/* The sum of `count` bytes. */
static int64_t byte_sum(const uint8_t *bytes, int64_t count) {
    __m128i sums = _mm_setzero_si128();
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i sixteen = _mm_loadu_si128((const __m128i *)(const void *)(bytes + i));
        sums = _mm_add_epi64(sums, _mm_sad_epu8(sixteen, _mm_setzero_si128()));
    }
    int64_t parts[2];
    memcpy(parts, &sums, sizeof parts);
    int64_t sum = parts[0] + parts[1];
    for (; i < count; ++i) sum += bytes[i];
    return sum;
}

/* The sum of `count` signed bytes: each is its unsigned value, less 256 where the top bit is set. */
static int64_t signed_byte_sum(const uint8_t *bytes, int64_t count) {
    int64_t negative = 0;
    for (int64_t i = 0; i < count; ++i) negative += bytes[i] >> 7;
    return byte_sum(bytes, count) - 256 * negative;
}

/* filter_shift * (sum p + depth * input_shift) for one row of the panel. */
static uint32_t row_term(const qc_gemm *g, const uint8_t *row) {
    const int64_t sum = g->isa->is_signed ? signed_byte_sum(row, g->depth) : byte_sum(row, g->depth);
    return (uint32_t)g->filter_shift * (uint32_t)(uint64_t)(sum + g->depth * g->input_shift);
}

static void add_to_all(int32_t *acc, int32_t count, uint32_t term) {
    for (int32_t i = 0; i < count; ++i) acc[i] = (int32_t)((uint32_t)acc[i] + term);
}

void qc_gemm_run(const qc_gemm *g, const uint8_t *panel, int32_t rows, int64_t first_row, qc_store store,
                 const void *context) {
    const int64_t stride = qc_round_up(g->depth, QC_QUAD);
    _Alignas(64) int32_t acc[QC_TILE_ROWS * QC_TILE_UNITS];
    uint32_t terms[QC_PANEL_ROWS];
    for (int32_t r = 0; r < rows && g->filter_shift != 0; ++r) terms[r] = row_term(g, panel + r * stride);
    for (int32_t unit = 0; unit < g->units; unit += QC_TILE_UNITS) {
        const int32_t count = g->units - unit < QC_TILE_UNITS ? g->units - unit : QC_TILE_UNITS;
        const int32_t blocks = (count + QC_LANES - 1) / QC_LANES;
        const int8_t *filter = g->packed + unit * stride;
        for (int32_t r = 0; r < rows; r += g->isa->tile_rows) {
            const int32_t tile = rows - r < g->isa->tile_rows ? rows - r : g->isa->tile_rows;
            const uint8_t *top = panel + r * stride;
            g->isa->tile(top, stride, tile, filter, stride / QC_QUAD, blocks, g->start + unit, acc);
            for (int32_t i = 0; i < tile; ++i) {
                int32_t *row = acc + i * QC_TILE_UNITS;
                if (g->filter_shift != 0) add_to_all(row, count, terms[r + i]);
                store(context, row, first_row + r + i, unit, count);
            }
        }
    }
}

void qc_store_requantized(const void *context, const int32_t *acc, int64_t row, int32_t first,
                          int32_t count) {
    const qc_requant_store *s = context;
    const int32_t channel = s->first_channel + first;
    s->isa->requantize(s->requant, acc, channel, count, s->output + row * s->row_size + channel);
}

void *qc_take(uint8_t **scratch, int64_t size) {
    void *memory = *scratch;
    *scratch += qc_round_up(size, 64);
    return memory;
}

const int8_t *qc_packed_filter(const void *packed, const qc_pack_filter_params *p, int is_signed,
                               const uint8_t *filter, uint8_t **scratch) {
    if (packed != NULL) return packed;
    int8_t *memory = qc_take(scratch, p->groups * qc_packed_group_size(p->units, p->depth));
    if (is_signed)
        qc_pack_filter_s8_ref(p, (const int8_t *)filter, memory, NULL);
    else
        qc_pack_filter_u8_ref(p, filter, memory, NULL);
    return memory;
}
