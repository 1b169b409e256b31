/* Functions of floats with AVX-512, 16 at a time. */
#include "floats_avx512.h"

#include "functions_f32.inc"
