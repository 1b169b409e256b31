/* What the definitions are compiled with. An exported model brings its own file of this name. */
#ifndef QUANTCORE_CONFIG_H
#define QUANTCORE_CONFIG_H

/* Whether requantizations may be by QC_FLOAT32 and QC_FLOAT64. Without them, a model of integers needs no floating
 * point on the target, neither math.h nor a library that computes floats. */
#ifndef QC_WITH_FLOAT_RULES
#define QC_WITH_FLOAT_RULES 1
#endif

#endif
