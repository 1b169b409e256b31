/* MEAN and sums of bytes with scales: the sums in vectors. */
#include "quantcore/reduce.h"

#include <string.h>

#include "../kernels.h"
#include "gemm.h"
#include "pool.h"

/* acc[i] = the sum of the elements of output i, exact modulo 2^32. Every two inner dimensions are one step; those
 * outside advance like an odometer. */
static void sum_bytes(const qc_pool_isa *isa, const qc_reduction *r, int is_signed, const uint8_t *x, int32_t *acc) {
    const uint8_t flip = is_signed ? 0x80 : 0;
    const int32_t last = r->rank - 1;
    /* Dimensions alternate between kept and reduced; where the innermost is kept, the one before is reduced. */
    const int kept = r->output_stride[last] != 0;
    const int32_t outer = kept && r->rank > 1 && r->output_stride[last - 1] == 0 ? last - 1 : last;
    const int64_t width = r->shape[last], rows = outer < last ? r->shape[outer] : 1;
    int64_t index[QC_REDUCTION_RANK] = {0};
    const int32_t start = qc_wrap32(is_signed ? -128 * r->elements : 0);
    for (int64_t i = 0; i < r->outputs; ++i) acc[i] = start;
    for (;;) {
        if (kept) {
            const qc_byte_window w = {x, width, width, 1, rows};
            isa->sums(&w, flip, width, acc);
        } else {
            acc[0] = qc_wrap32(acc[0] + isa->row_sum(x, flip, width));
        }
        x += rows * width;
        int32_t d = outer - 1;
        for (; d >= 0 && ++index[d] == r->shape[d]; --d) {
            index[d] = 0;
            acc -= (r->shape[d] - 1) * r->output_stride[d];
        }
        if (d < 0) return;
        acc += r->output_stride[d];
    }
}

static qc_status mean(const qc_pool_isa *isa, const qc_gemm_isa *gemm, int is_signed, const qc_mean_params *p,
                      const uint8_t *input, uint8_t *output, int32_t *acc) {
    const qc_reduction *r = &p->reduction;
    if (r->elements == 0) {
        memset(output, 0, (size_t)r->outputs);
        return QC_OK;
    }
    sum_bytes(isa, r, is_signed, input, acc);
    const int32_t zero = qc_wrap32(p->input_zero_point * r->elements);
    for (int64_t i = 0; i < r->outputs; ++i) acc[i] = qc_wrap32((int64_t)acc[i] - zero);
    for (int64_t i = 0; i < r->outputs; i += p->channels) {
        const int64_t left = r->outputs - i;
        const int32_t count = left < p->channels ? (int32_t)left : p->channels;
        gemm->requantize(&p->requant, acc + i, 0, count, output + i);
    }
    return QC_OK;
}

#define VERSION(suffix, is_signed, T, ISA)                                                                         \
    qc_status qc_mean_##suffix##_##ISA(const qc_mean_params *p, const T *input, const int32_t *axis, T *output,    \
                                       void *scratch) {                                                            \
        (void)axis;                                                                                                \
        return mean(&qc_pool_##ISA, &qc_gemm_##ISA, is_signed, p, (const uint8_t *)input, (uint8_t *)output, scratch); \
    }
VERSION(s8, 1, int8_t, avx2)
VERSION(u8, 0, uint8_t, avx2)
VERSION(s8, 1, int8_t, vnni)
VERSION(u8, 0, uint8_t, vnni)
