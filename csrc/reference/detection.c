/* TFLite_Detection_PostProcess: the definition. */
#include "quantcore/detection.h"

#include <math.h>
#include <string.h>

typedef struct {
    float ymin, xmin, ymax, xmax;
} corners;

/* Scratch memory, carved into arrays; candidates are boxes, or boxes and what was selected before. */
typedef struct {
    corners *box;        /* [boxes] */
    float *score;        /* [boxes][columns], where scores are uint8 */
    float *class_score;  /* [boxes] */
    int32_t *kept;       /* [boxes]: boxes above the threshold, best first */
    int32_t *merged;     /* [boxes]: scratch of the sort */
    int32_t *selected;   /* [boxes] */
    float *best_score;   /* [boxes + max_detections] */
    int32_t *best_place; /* [boxes + max_detections] */
    int32_t *order;      /* [boxes + max_detections + classes] */
    float *next_score;   /* [max_detections] */
    int32_t *next_place; /* [max_detections] */
    uint8_t *active;     /* [boxes] */
} workspace;

static void *take(uint8_t **memory, int64_t count, int64_t size) {
    void *array = *memory;
    *memory += (count * size + 15) / 16 * 16;
    return array;
}

/* Lay the arrays out from `memory` on. */
static void lay_out(const qc_detection_params *p, uint8_t *memory, workspace *w) {
    const int64_t boxes = p->boxes, candidates = boxes + p->max_detections;
    w->box = (corners *)take(&memory, boxes, sizeof(corners));
    w->score = (float *)take(&memory, p->scores.scale != 0.0f ? boxes * p->columns : 0, 4);
    w->class_score = (float *)take(&memory, boxes, 4);
    w->kept = (int32_t *)take(&memory, boxes, 4);
    w->merged = (int32_t *)take(&memory, boxes, 4);
    w->selected = (int32_t *)take(&memory, boxes, 4);
    w->best_score = (float *)take(&memory, candidates, 4);
    w->best_place = (int32_t *)take(&memory, candidates, 4);
    w->order = (int32_t *)take(&memory, candidates + p->classes, 4);
    w->next_score = (float *)take(&memory, p->max_detections, 4);
    w->next_place = (int32_t *)take(&memory, p->max_detections, 4);
    w->active = (uint8_t *)take(&memory, boxes, 1);
}

static float read_value(qc_detection_input from, const void *values, int64_t i) {
    if (from.scale == 0.0f) return ((const float *)values)[i];
    return ((float)((const uint8_t *)values)[i] - (float)from.zero_point) * from.scale;
}

/* Scores are dequantized in blocks of eight with two roundings, and with one in what is left. */
static void dequantize_scores(const qc_detection_params *p, const uint8_t *q, float *y) {
    const int64_t count = (int64_t)p->boxes * p->columns, body = count / 8 * 8;
    const float scale = p->scores.scale, offset = (float)-p->scores.zero_point * scale;
    for (int64_t i = 0; i < body; ++i) {
        const float product = (float)q[i] * scale;
        y[i] = product + offset;
    }
    for (int64_t i = body; i < count; ++i) y[i] = scale * (float)(q[i] - p->scores.zero_point);
}

/* Centre and half extent in double, each rounded to float32. */
static corners decode(const qc_detection_params *p, const void *encodings, const void *anchors, int64_t i) {
    double code[4], anchor[4];
    for (int32_t k = 0; k < 4; ++k) {
        code[k] = (double)read_value(p->encodings, encodings, i * p->encoding + k) / (double)p->scale[k];
        anchor[k] = (double)read_value(p->anchors, anchors, i * 4 + k);
    }
    const float y = (float)(code[0] * anchor[2] + anchor[0]);
    const float x = (float)(code[1] * anchor[3] + anchor[1]);
    const float half_height = (float)(0.5 * exp(code[2]) * anchor[2]);
    const float half_width = (float)(0.5 * exp(code[3]) * anchor[3]);
    return (corners){y - half_height, x - half_width, y + half_height, x + half_width};
}

static int valid(const corners *b, int32_t not_empty) {
    if (not_empty) return !(b->ymin >= b->ymax || b->xmin >= b->xmax);
    return !(b->ymin > b->ymax || b->xmin > b->xmax);
}

static float intersection_over_union(const corners *a, const corners *b) {
    const float area_a = (a->ymax - a->ymin) * (a->xmax - a->xmin);
    const float area_b = (b->ymax - b->ymin) * (b->xmax - b->xmin);
    if (area_a <= 0 || area_b <= 0) return 0.0f;
    const float ymin = a->ymin < b->ymin ? b->ymin : a->ymin, xmin = a->xmin < b->xmin ? b->xmin : a->xmin;
    const float ymax = b->ymax < a->ymax ? b->ymax : a->ymax, xmax = b->xmax < a->xmax ? b->xmax : a->xmax;
    const float height = ymax - ymin < 0.0f ? 0.0f : ymax - ymin, width = xmax - xmin < 0.0f ? 0.0f : xmax - xmin;
    const float common = height * width;
    return common / (area_a + area_b - common);
}

/* Places of `score` in decreasing order, equal ones in the order that they have: a merge sort from below. */
static void sort_stable(const float *score, int32_t *places, int32_t *scratch, int32_t count) {
    for (int32_t width = 1; width < count; width = width > count / 2 ? count : 2 * width) {
        for (int32_t start = 0; start < count;) {
            const int32_t middle = count - start < width ? count : start + width;
            const int32_t end = count - middle < width ? count : middle + width;
            int32_t left = start, right = middle;
            for (int32_t i = start; i < end; ++i) {
                const int take_right = left == middle || (right < end && score[places[right]] > score[places[left]]);
                scratch[i] = places[take_right ? right++ : left++];
            }
            start = end;
        }
        memcpy(places, scratch, (size_t)count * sizeof *places);
    }
}

/* Fill the hole at the root of the heap's part from `hole` on with `value`: the hole sinks to a leaf along the worse
 * children, and the value rises from there. The worst score is at the root. */
static void sink(const float *score, int32_t *heap, int32_t hole, int32_t count, int32_t value) {
    const int32_t top = hole;
    int32_t child = 2 * hole + 2;
    for (; child < count; child = 2 * hole + 2) {
        if (score[heap[child]] > score[heap[child - 1]]) --child;
        heap[hole] = heap[child];
        hole = child;
    }
    if (child == count) { /* a left child alone */
        heap[hole] = heap[child - 1];
        hole = child - 1;
    }
    while (hole > top && score[heap[(hole - 1) / 2]] > score[value]) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

/* The `wanted` best places, best first, in the order in which the C++ library's partial sort leaves equal scores: a heap
 * of the first ones, whose worst is exchanged for each better one, taken apart from its root. */
static void sort_heap(const float *score, int32_t *places, int32_t count, int32_t wanted) {
    for (int32_t i = wanted / 2 - 1; i >= 0; --i) sink(score, places, i, wanted, places[i]);
    for (int32_t i = wanted; i < count && wanted > 0; ++i) {
        if (!(score[places[i]] > score[places[0]])) continue;
        const int32_t value = places[i];
        places[i] = places[0];
        sink(score, places, 0, wanted, value);
    }
    for (int32_t last = wanted - 1; last > 0; --last) {
        const int32_t value = places[last];
        places[last] = places[0];
        sink(score, places, 0, last, value);
    }
}

/* The `wanted` best places into the front of `places`; of equal scores the first comes first. */
static void best_places(const float *score, int32_t count, int32_t wanted, int32_t *places) {
    for (int32_t i = 0; i < count; ++i) places[i] = i;
    for (int32_t done = 0; done < wanted; ++done) {
        int32_t best = done;
        for (int32_t i = done + 1; i < count; ++i)
            if (score[places[i]] > score[places[best]]) best = i;
        const int32_t place = places[best];
        memmove(places + done + 1, places + done, (size_t)(best - done) * sizeof *places);
        places[done] = place;
    }
}

/* The best classes of a box: several ones are sorted as a heap. */
static void best_classes(const qc_detection_params *p, const float *score, int32_t wanted, int32_t *places) {
    if (wanted == 1) {
        best_places(score, p->classes, wanted, places);
        return;
    }
    for (int32_t i = 0; i < p->classes; ++i) places[i] = i;
    sort_heap(score, places, p->classes, wanted);
}

/* Up to `most` boxes above the threshold, best first, without those that overlap a better one. */
static int32_t suppress(const qc_detection_params *p, const workspace *w, const float *score, int32_t most) {
    int32_t kept = 0, selected = 0;
    for (int32_t i = 0; i < p->boxes; ++i)
        if (score[i] >= p->score_threshold) w->kept[kept++] = i;
    sort_stable(score, w->kept, w->merged, kept);
    memset(w->active, 1, (size_t)kept);
    for (int32_t i = 0; i < kept && selected < most; ++i) {
        if (!w->active[i]) continue;
        w->selected[selected++] = w->kept[i];
        for (int32_t j = i + 1; j < kept; ++j) {
            const float overlap = intersection_over_union(&w->box[w->kept[i]], &w->box[w->kept[j]]);
            if (overlap > p->iou_threshold) w->active[j] = 0;
        }
    }
    return selected;
}

typedef struct {
    corners *box;
    float *class_number;
    float *score;
} detections;

static int32_t detect_regular(const qc_detection_params *p, const workspace *w, const float *scores, detections out) {
    const int32_t background = p->columns - p->classes;
    int32_t found = 0;
    for (int32_t c = background; c < p->columns; ++c) {
        for (int32_t i = 0; i < p->boxes; ++i) w->class_score[i] = scores[(int64_t)i * p->columns + c];
        const int32_t selected = suppress(p, w, w->class_score, p->per_class);
        for (int32_t i = 0; i < selected; ++i) {
            w->best_place[found + i] = w->selected[i] * p->columns + c;
            w->best_score[found + i] = w->class_score[w->selected[i]];
        }
        const int32_t candidates = found + selected;
        found = candidates < p->max_detections ? candidates : p->max_detections;
        best_places(w->best_score, candidates, found, w->order);
        for (int32_t i = 0; i < found; ++i) {
            w->next_place[i] = w->best_place[w->order[i]];
            w->next_score[i] = w->best_score[w->order[i]];
        }
        memcpy(w->best_place, w->next_place, (size_t)found * 4);
        memcpy(w->best_score, w->next_score, (size_t)found * 4);
    }
    for (int32_t i = 0; i < found; ++i) {
        out.box[i] = w->box[w->best_place[i] / p->columns];
        out.class_number[i] = (float)(w->best_place[i] % p->columns - background);
        out.score[i] = w->best_score[i];
    }
    return found;
}

static int32_t detect_fast(const qc_detection_params *p, const workspace *w, const float *scores, detections out) {
    const int32_t listed = p->max_classes < p->classes ? p->max_classes : p->classes;
    scores += p->columns - p->classes;
    for (int32_t i = 0; i < p->boxes; ++i) {
        best_classes(p, scores + (int64_t)i * p->columns, listed, w->order);
        w->class_score[i] = scores[(int64_t)i * p->columns + w->order[0]];
    }
    const int32_t found = suppress(p, w, w->class_score, p->max_detections);
    for (int32_t i = 0; i < found; ++i) {
        const float *row = scores + (int64_t)w->selected[i] * p->columns;
        best_classes(p, row, listed, w->order);
        for (int32_t k = 0; k < listed; ++k) {
            const int64_t place = (int64_t)i * p->max_classes + k;
            out.box[place] = w->box[w->selected[i]];
            out.class_number[place] = (float)w->order[k];
            out.score[place] = row[w->order[k]];
        }
    }
    return found;
}

qc_status qc_detection_ref(const qc_detection_params *p, void *const *tensors, void *scratch) {
    workspace w;
    lay_out(p, (uint8_t *)scratch, &w);
    const float *scores = (const float *)tensors[1];
    if (p->scores.scale != 0.0f) {
        dequantize_scores(p, (const uint8_t *)tensors[1], w.score);
        scores = w.score;
    }
    for (int32_t i = 0; i < p->boxes; ++i) {
        w.box[i] = decode(p, tensors[0], tensors[2], i);
        if (!valid(&w.box[i], p->not_empty)) return QC_BAD_DATA;
    }
    const size_t places = (size_t)p->max_detections * (size_t)p->max_classes;
    memset(tensors[3], 0, places * sizeof(corners));
    memset(tensors[4], 0, places * sizeof(float));
    memset(tensors[5], 0, places * sizeof(float));
    const detections out = {(corners *)tensors[3], (float *)tensors[4], (float *)tensors[5]};
    const int32_t found = p->regular ? detect_regular(p, &w, scores, out) : detect_fast(p, &w, scores, out);
    *(float *)tensors[6] = (float)found;
    return QC_OK;
}
