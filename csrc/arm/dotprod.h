/* QC_DOTPROD: the attribute of functions with dot product instructions. Not defined where the compiler cannot
 * compile them for single functions (clang before 16), unless all code is compiled for them. */
#ifndef QUANTCORE_ARM_DOTPROD_H
#define QUANTCORE_ARM_DOTPROD_H

#if defined(__ARM_FEATURE_DOTPROD)
#define QC_DOTPROD
#elif !defined(__clang__) || __clang_major__ >= 16
#define QC_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif

#endif
