/* Element-wise operators on short rows: several are joined before a vector loop sees them. */
#ifndef QUANTCORE_X86_LONG_ROWS_H
#define QUANTCORE_X86_LONG_ROWS_H

#include <string.h>

#include "quantcore/elementwise_rules.h"

enum { QC_LONG_ROW = 64, QC_JOINED_BYTES = 4096 };

/* One input of joined rows. */
typedef struct {
    const char *from;  /* the first of the rows, where they follow each other; else NULL, and they are copied */
    int is_dense;
    _Alignas(64) char rows[QC_JOINED_BYTES];
} qc_joined_input;

/* Rows that are waiting. */
typedef struct {
    qc_binary_row *row;
    const void *rule;
    qc_joined_input input1, input2;
    char *output;
    int64_t size; /* of an element */
    int64_t count;
} qc_joined_rows;

/* `count` times the same element. */
static inline void qc_fill_row(char *to, const char *from, int64_t count, int64_t size) {
    if (size == 1) {
        memset(to, *from, (size_t)count);
        return;
    }
    if (size == 2) {
        int16_t element, *words = (int16_t *)(void *)to;
        memcpy(&element, from, sizeof element);
        for (int64_t i = 0; i < count; ++i) words[i] = element;
        return;
    }
    memmove(to, from, (size_t)size); /* they may be the same */
    for (int64_t done = 1; done < count; done *= 2)
        memcpy(to + done * size, to, (size_t)((done < count - done ? done : count - done) * size));
}

static inline void qc_join_row(qc_joined_input *x, const char *from, int64_t stride, const qc_joined_rows *j,
                               int64_t count) {
    char *to = x->rows + j->count * j->size;
    if (x->is_dense) {
        if (j->count == 0) x->from = from;
    } else if (stride) {
        memcpy(to, from, (size_t)(count * j->size));
    } else {
        qc_fill_row(to, from, count, j->size);
    }
}

static inline void qc_run_joined(qc_joined_rows *j) {
    if (j->count == 0) return;
    (*j->row)(j->rule, j->input1.is_dense ? j->input1.from : j->input1.rows, 1,
              j->input2.is_dense ? j->input2.from : j->input2.rows, 1, j->output, j->count);
    j->count = 0;
}

/* The qc_binary_row that joins; rule: qc_joined_rows. */
static inline void qc_add_joined(const void *rule, const void *input1, int64_t stride1, const void *input2,
                                 int64_t stride2, void *output, int64_t count) {
    qc_joined_rows *j = (qc_joined_rows *)(uintptr_t)rule;
    if ((j->count + count) * j->size > QC_JOINED_BYTES) qc_run_joined(j);
    if (j->count == 0) j->output = (char *)output;
    qc_join_row(&j->input1, (const char *)input1, stride1, j, count);
    qc_join_row(&j->input2, (const char *)input2, stride2, j, count);
    j->count += count;
}

/* Whether the elements follow each other as those of the output do. */
static inline int qc_is_dense(const qc_broadcast *b, const int64_t *strides) {
    int64_t step = 1;
    for (int32_t d = b->rank - 1; d >= 0; step *= b->shape[d--])
        if (b->shape[d] != 1 && strides[d] != step) return 0;
    return 1;
}

/* Whether every row is the same. */
static inline int qc_is_one_row(const qc_broadcast *b, const int64_t *strides) {
    for (int32_t d = 0; d < b->rank - 1; ++d)
        if (b->shape[d] != 1 && strides[d] != 0) return 0;
    return 1;
}

/* One input is a row that all rows of the other meet: a buffer of many such rows takes its place. */
static inline void qc_walk_with_row(const qc_broadcast *b, const void *rule, const char *input1, const char *input2,
                                    char *output, int64_t size, qc_binary_row row, int is_first) {
    _Alignas(64) char rows[QC_JOINED_BYTES];
    const int64_t count = b->shape[b->rank - 1], step = QC_JOINED_BYTES / (count * size) * count;
    int64_t total = 1;
    for (int32_t d = 0; d < b->rank; ++d) total *= b->shape[d];
    const int64_t stride = is_first ? b->stride1[b->rank - 1] : b->stride2[b->rank - 1];
    const int64_t period = stride ? count : 1;
    memcpy(rows, is_first ? input1 : input2, (size_t)(period * size));
    qc_fill_row(rows, rows, step / period, period * size);
    for (int64_t i = 0; i < total; i += step)
        row(rule, is_first ? rows : input1 + i * size, 1, is_first ? input2 + i * size : rows, 1, output + i * size,
            total - i < step ? total - i : step);
}

/* As qc_broadcast_walk, for rows that may be joined: a rule that is the same for all elements. */
static inline void qc_walk_long_rows(const qc_broadcast *b, const void *rule, const void *input1, const void *input2,
                                     void *output, int64_t size, qc_binary_row row) {
    if (b->rank == 1 || b->shape[b->rank - 1] >= QC_LONG_ROW) {
        qc_broadcast_walk(b, rule, input1, input2, output, size, row);
        return;
    }
    for (int32_t d = 0; d < b->rank; ++d)
        if (b->shape[d] == 0) return;
    const int dense1 = qc_is_dense(b, b->stride1), dense2 = qc_is_dense(b, b->stride2);
    if ((dense1 && qc_is_one_row(b, b->stride2)) || (dense2 && qc_is_one_row(b, b->stride1))) {
        qc_walk_with_row(b, rule, (const char *)input1, (const char *)input2, (char *)output, size, row, !dense1);
        return;
    }
    qc_joined_rows j;
    j.row = &row;
    j.rule = rule;
    j.size = size;
    j.count = 0;
    j.input1.is_dense = dense1;
    j.input2.is_dense = dense2;
    qc_broadcast_walk(b, &j, input1, input2, output, size, qc_add_joined);
    qc_run_joined(&j);
}

#endif
