/* TFLite_Detection_PostProcess: boxes decoded from anchors, and the best ones that do not overlap.
 * Source: TFLite kernels/detection_postprocess.cc. */
#ifndef QUANTCORE_DETECTION_H
#define QUANTCORE_DETECTION_H

#include <stdint.h>

#include "quantcore/status.h"

/* How to read an input: float32 as it is (scale 0), or uint8 with parameters. */
typedef struct {
    float scale;
    int32_t zero_point;
} qc_detection_input;

/* Inputs: encodings [boxes][encoding] (y, x, h, w first), scores [boxes][columns], anchors [boxes][4].
 * Outputs, all float32: boxes [detections][4] (ymin, xmin, ymax, xmax), classes and scores [detections], count [1],
 * where detections = max_detections * max_classes. What is not detected is 0.
 * columns: classes, or one more (the first is the background then). encoding: at least 4.
 * 1 <= classes, max_classes; 0 <= max_detections; 0 < iou_threshold <= 1.
 * regular: classes are suppressed one by one, at most per_class (1 or more) boxes of each; otherwise boxes are
 * suppressed by their best class, and up to max_classes classes of each are listed.
 * Several classes of a box with one score come in the order that a heap leaves them in, all else in the order of places.
 * A box whose sides are inverted is QC_BAD_DATA, with not_empty also one whose sides meet (TFLite Micro). */
typedef struct {
    qc_detection_input encodings;
    qc_detection_input scores;
    qc_detection_input anchors;
    int32_t boxes;
    int32_t encoding;
    int32_t classes;
    int32_t columns;
    int32_t max_detections;
    int32_t max_classes;
    int32_t per_class;
    int32_t regular;
    int32_t not_empty;
    float score_threshold;
    float iou_threshold;
    float scale[4]; /* y, x, h, w */
} qc_detection_params;

/* Bytes of scratch memory: twelve arrays, each rounded up to 16 bytes. */
static inline int64_t qc_detection_scratch_size(const qc_detection_params *p) {
    const int64_t boxes = p->boxes, most = p->max_detections, columns = p->scores.scale != 0.0f ? p->columns : 0;
    return boxes * (16 + 4 * columns + 4 * 4 + 1) + 12 * (boxes + most) + 4 * p->classes + 8 * most + 12 * 16;
}

qc_status qc_detection_ref(const qc_detection_params *, void *const *tensors, void *scratch);

#endif
