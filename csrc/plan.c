/* The executor: a loop over steps. */
#include "quantcore/plan.h"

qc_status qc_plan_run(const qc_step *steps, int32_t count, void *const *pointers, void *scratch, int32_t *failed) {
    for (int32_t i = 0; i < count; ++i) {
        const qc_status status = steps[i].invoke(steps[i].params, pointers + steps[i].first_tensor, scratch);
        if (status != QC_OK) {
            *failed = i;
            return status;
        }
    }
    return QC_OK;
}
