/* The right matrices of products that are not constant, laid out by each call: see pack_filter.h. */
#ifndef QUANTCORE_X86_PACK_MATRIX_H
#define QUANTCORE_X86_PACK_MATRIX_H

#include <stdint.h>

/* Columns of a right matrix that follow each other as rows of memory: [units][size] bytes, to
 * [unit / 16][quad][unit % 16][4] bytes: quads of int8, pairs of int16, single floats. What is beyond is 0. sums:
 * [units rounded up to 16] sums of the bytes as int8, or NULL. */
void qc_pack_units(const uint8_t *rows, int32_t units, int64_t size, uint8_t *packed, int32_t *sums);

/* The other order, [depth][units], with elements of 1, 2 or 4 bytes, to the same layout. sums: for int8. */
void qc_pack_depths(const uint8_t *rows, int32_t units, int64_t depth, int64_t item, uint8_t *packed, int32_t *sums);

/* transpose.c. Row j of `to` is column j of `from`, which has `rows` rows; items of 1, 2 or 4 bytes. The steps are
 * bytes from one row to the next. */
void qc_transpose_matrix(const uint8_t *from, int64_t rows, int64_t columns, int64_t from_step, int64_t item,
                         uint8_t *to, int64_t to_step);

#endif
