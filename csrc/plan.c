/* The executor: a loop over steps. threads.c has the one that shares them. */
#include "quantcore/plan.h"

qc_status qc_plan_run(const qc_plan *plan, void *const *pointers, void *scratch, int32_t *failed) {
    for (int32_t i = 0; i < plan->count; ++i) {
        const qc_step *step = &plan->steps[i];
        const qc_status status = step->invoke(step->params, pointers + step->first_tensor, scratch);
        if (status != QC_OK) {
            *failed = i;
            return status;
        }
    }
    return QC_OK;
}
