/* ADD, SUB, MUL: the definitions, from the rules of elementwise_rules.h. */
#include "quantcore/elementwise_rules.h"

QC_QUANTIZED_BINARY(ref, )
QC_ARITHMETIC(f32, ref, , float)
QC_ARITHMETIC(s32, ref, , int32_t)
QC_ARITHMETIC(s64, ref, , int64_t)
