/* Comparisons and logical operators: the definitions. */
#include "quantcore/comparison.h"

#include "quantcore/fixed_point.h"

/* Where the next output's inputs are. */
typedef struct {
    int32_t index[QC_BROADCAST_RANK];
    int64_t first, second;
} position;

static int64_t output_count(const qc_broadcast *b) {
    int64_t count = 1;
    for (int32_t d = 0; d < b->rank; ++d) count *= b->shape[d];
    return count;
}

static void advance(const qc_broadcast *b, position *at) {
    for (int32_t d = b->rank - 1; d >= 0; --d) {
        at->first += b->stride1[d];
        at->second += b->stride2[d];
        if (++at->index[d] < b->shape[d]) return;
        at->first -= b->stride1[d] * b->shape[d];
        at->second -= b->stride2[d] * b->shape[d];
        at->index[d] = 0;
    }
}

#define HOLDS(name, T)                                              \
    static uint8_t name(qc_comparison comparison, T a, T b) {       \
        switch (comparison) {                                       \
            case QC_EQUAL: return a == b;                           \
            case QC_NOT_EQUAL: return a != b;                       \
            case QC_GREATER: return a > b;                          \
            case QC_GREATER_EQUAL: return a >= b;                   \
            case QC_LESS: return a < b;                             \
            case QC_LESS_EQUAL: return a <= b;                      \
            case QC_LOGICAL_AND: return a != 0 && b != 0;           \
            case QC_LOGICAL_OR: return a != 0 || b != 0;            \
        }                                                           \
        return 0;                                                   \
    }
HOLDS(holds, int64_t)
HOLDS(holds_f32, float)

#define COMPARISON(suffix, P, T, result)                                                                     \
    qc_status qc_compare_##suffix##_ref(const P *p, const T *input1, const T *input2, uint8_t *output,       \
                                        void *scratch) {                                                     \
        (void)scratch;                                                                                       \
        position at = {{0}, 0, 0};                                                                           \
        const int64_t count = output_count(&p->broadcast);                                                   \
        for (int64_t i = 0; i < count; ++i) {                                                                \
            const T a = input1[at.first], b = input2[at.second];                                             \
            output[i] = result;                                                                              \
            advance(&p->broadcast, &at);                                                                     \
        }                                                                                                    \
        return QC_OK;                                                                                        \
    }

COMPARISON(bool, qc_comparison_params, uint8_t, holds(p->comparison, a, b))
COMPARISON(s16, qc_comparison_params, int16_t, holds(p->comparison, a, b))
COMPARISON(s32, qc_comparison_params, int32_t, holds(p->comparison, a, b))
COMPARISON(s64, qc_comparison_params, int64_t, holds(p->comparison, a, b))
COMPARISON(f32, qc_comparison_params, float, holds_f32(p->comparison, a, b))

static uint8_t scaled_holds(const qc_scaled_comparison_params *p, int32_t a, int32_t b) {
    const int32_t x = qc_shift_left_wrap(a + p->input1_offset, p->left_shift);
    const int32_t y = qc_shift_left_wrap(b + p->input2_offset, p->left_shift);
    return holds(p->comparison, qc_multiply_double_rounding(x, p->input1_multiplier, p->input1_shift),
                 qc_multiply_double_rounding(y, p->input2_multiplier, p->input2_shift));
}

COMPARISON(scaled_s8, qc_scaled_comparison_params, int8_t, scaled_holds(p, a, b))
COMPARISON(scaled_u8, qc_scaled_comparison_params, uint8_t, scaled_holds(p, a, b))
COMPARISON(scaled_s16, qc_scaled_comparison_params, int16_t, scaled_holds(p, a, b))

qc_status qc_logical_not_ref(const qc_logical_not_params *p, const uint8_t *input, uint8_t *output, void *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < p->count; ++i) output[i] = input[i] == 0;
    return QC_OK;
}
