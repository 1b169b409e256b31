/* Filters laid out for the vector versions. */
#include "quantcore/pack_filter.h"

#include <string.h>

#include "quantcore/fixed_point.h"

/* Lay out one group of bytes; `flip` is 0x80 for uint8 elements, which it makes signed. */
static void pack_group(const uint8_t *filter, int32_t units, int64_t depth, uint8_t flip, int8_t *packed) {
    const int64_t padded = qc_round_up(units, QC_LANES);
    const int64_t padded_depth = qc_round_up(depth, QC_QUAD);
    int32_t *sums = (int32_t *)(void *)(packed + padded * padded_depth);
    memset(packed, 0, (size_t)qc_packed_group_size(units, depth));
    for (int64_t unit = 0; unit < units; ++unit) {
        int8_t *block = packed + unit / QC_LANES * QC_LANES * padded_depth + unit % QC_LANES * QC_QUAD;
        int64_t sum = 0;
        for (int64_t d = 0; d < depth; ++d) {
            const int8_t w = (int8_t)(filter[unit * depth + d] ^ flip);
            block[d / QC_QUAD * QC_LANES * QC_QUAD + d % QC_QUAD] = w;
            sum += w;
        }
        sums[unit] = qc_wrap32(sum);
    }
}

static void pack_bytes(const qc_pack_filter_params *p, const uint8_t *filter, uint8_t flip,
                       int8_t *packed) {
    for (int32_t g = 0; g < p->groups; ++g)
        pack_group(filter + g * p->units * p->depth, p->units, p->depth, flip,
                   packed + g * qc_packed_group_size(p->units, p->depth));
}

qc_status qc_pack_filter_s8_ref(const qc_pack_filter_params *p, const int8_t *filter, int8_t *packed,
                                void *scratch) {
    (void)scratch;
    pack_bytes(p, (const uint8_t *)filter, 0, packed);
    return QC_OK;
}

qc_status qc_pack_filter_u8_ref(const qc_pack_filter_params *p, const uint8_t *filter, int8_t *packed,
                                void *scratch) {
    (void)scratch;
    pack_bytes(p, filter, 0x80, packed);
    return QC_OK;
}

qc_status qc_pack_filter_f32_ref(const qc_pack_filter_params *p, const float *filter, float *packed,
                                 void *scratch) {
    (void)scratch;
    const int64_t padded = qc_round_up(p->units, QC_LANES);
    memset(packed, 0, (size_t)(p->groups * qc_packed_group_size_f32(p->units, p->depth)));
    for (int64_t g = 0; g < p->groups; ++g) {
        for (int64_t unit = 0; unit < p->units; ++unit) {
            float *block = packed + (g * padded + unit / QC_LANES * QC_LANES) * p->depth + unit % QC_LANES;
            for (int64_t d = 0; d < p->depth; ++d)
                block[d * QC_LANES] = filter[(g * p->units + unit) * p->depth + d];
        }
    }
    return QC_OK;
}
