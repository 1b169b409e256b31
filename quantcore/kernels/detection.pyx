"""TFLite_Detection_PostProcess over csrc/reference/detection.c."""

from libc.stdint cimport int32_t, int64_t

from quantcore.kernels._core cimport KernelCall, make_call

cdef extern from "quantcore/detection.h" nogil:
    ctypedef struct qc_detection_input:
        float scale
        int32_t zero_point
    ctypedef struct qc_detection_params:
        qc_detection_input encodings
        qc_detection_input scores
        qc_detection_input anchors
        int32_t boxes
        int32_t encoding
        int32_t classes
        int32_t columns
        int32_t max_detections
        int32_t max_classes
        int32_t per_class
        int32_t regular
        int32_t not_empty
        float score_threshold
        float iou_threshold
        float[4] scale
    int64_t qc_detection_scratch_size(const qc_detection_params *)


def detection_call(*, encodings, scores, anchors, int32_t boxes, int32_t encoding, int32_t classes, int32_t columns,
                   int32_t max_detections, int32_t max_classes, int32_t per_class, bint regular, bint not_empty,
                   float score_threshold, float iou_threshold, scale) -> KernelCall:
    """Boxes and their classes; see ``qc_detection_params``.

    `encodings`, `scores` and `anchors` are ``(scale, zero_point)``, or ``(0, 0)`` for float32.
    """
    cdef qc_detection_params p
    p.encodings.scale, p.encodings.zero_point = encodings
    p.scores.scale, p.scores.zero_point = scores
    p.anchors.scale, p.anchors.zero_point = anchors
    p.boxes = boxes
    p.encoding = encoding
    p.classes = classes
    p.columns = columns
    p.max_detections = max_detections
    p.max_classes = max_classes
    p.per_class = per_class
    p.regular = regular
    p.not_empty = not_empty
    p.score_threshold = score_threshold
    p.iou_threshold = iou_threshold
    for k in range(4):
        p.scale[k] = scale[k]
    return make_call("detection", &p, sizeof(p), qc_detection_scratch_size(&p))
