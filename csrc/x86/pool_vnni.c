/* Windows of bytes on AVX-512, 64 channels at a time. */
#include "pool.h"
#include "requantize_avx512.h"

/* The bits of channels [c, c + 64) that exist. */
static inline __mmask64 channels_from(int64_t c, int64_t channels) {
    return channels - c >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (channels - c)) - 1;
}

/* Add sums in 16 bits to those in 32: vector j has, in its lane l, channels 16 l + 4 j to 16 l + 4 j + 3. */
QC_AVX512 void widen(const __m512i narrow[2], __m512i wide[4]) {
    const __m512i zero = _mm512_setzero_si512();
    for (int i = 0; i < 2; ++i) {
        wide[2 * i] = _mm512_add_epi32(wide[2 * i], _mm512_unpacklo_epi16(narrow[i], zero));
        wide[2 * i + 1] = _mm512_add_epi32(wide[2 * i + 1], _mm512_unpackhi_epi16(narrow[i], zero));
    }
}

/* Sums of 64 channels from x on, in the order of `widen`. */
QC_AVX512 void window_sums(const qc_byte_window *w, const uint8_t *x, uint8_t flip, __mmask64 exist, __m512i wide[4]) {
    const __m512i bits = _mm512_set1_epi8((char)flip), zero = _mm512_setzero_si512();
    __m512i narrow[2] = {zero, zero};
    int32_t room = 256; /* bytes that a sum in 16 bits has room for */
    for (int j = 0; j < 4; ++j) wide[j] = zero;
    for (int64_t r = 0; r < w->rows; ++r, x += w->row_distance) {
        const uint8_t *pixel = x;
        for (int64_t k = 0; k < w->columns; ++k, pixel += w->distance) {
            const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(exist, pixel), bits);
            narrow[0] = _mm512_add_epi16(narrow[0], _mm512_unpacklo_epi8(bytes, zero));
            narrow[1] = _mm512_add_epi16(narrow[1], _mm512_unpackhi_epi8(bytes, zero));
            if (--room > 0) continue;
            widen(narrow, wide);
            narrow[0] = narrow[1] = zero;
            room = 256;
        }
    }
    widen(narrow, wide);
}

__attribute__((target(QC_AVX512_TARGET))) static void sums(const qc_byte_window *w, uint8_t flip, int64_t channels,
                                                           int32_t *acc) {
    for (int64_t c = 0; c < channels; c += 64) {
        __m512i wide[4];
        int32_t parts[4][4][4]; /* [vector][lane][element] */
        window_sums(w, w->x + c, flip, channels_from(c, channels), wide);
        for (int j = 0; j < 4; ++j) _mm512_storeu_si512(parts[j], wide[j]);
        const int64_t left = channels - c, count = left < 64 ? left : 64;
        for (int64_t i = 0; i < count; ++i)
            acc[c + i] = (int32_t)((uint32_t)acc[c + i] + (uint32_t)parts[i % 16 / 4][i / 16][i % 4]);
    }
}

__attribute__((target(QC_AVX512_TARGET))) static int64_t row_sum(const uint8_t *x, uint8_t flip, int64_t count) {
    const __m512i bits = _mm512_set1_epi8((char)flip), zero = _mm512_setzero_si512();
    __m512i total = zero;
    for (int64_t i = 0; i < count; i += 64) {
        const __mmask64 exist = channels_from(i, count);
        const __m512i bytes = _mm512_maskz_loadu_epi8(exist, x + i);
        total = _mm512_add_epi64(total, _mm512_sad_epu8(_mm512_maskz_mov_epi8(exist, _mm512_xor_si512(bytes, bits)), zero));
    }
    return _mm512_reduce_add_epi64(total);
}

/* Nearest quotients: with a = |sum| + n / 2, floor(a / n) = floor((a + 1/2) / n), which is at least 1 / 2n from the next
 * whole number; the product with 1 / n in float32 errs less, for n <= QC_AVERAGE_PIXELS and sums of bytes. */
QC_AVX512 __m512i quotient(__m512i sum, __m512i half, __m512 inverse) {
    const __m512i a = _mm512_add_epi32(_mm512_abs_epi32(sum), half);
    const __m512 product = _mm512_mul_ps(_mm512_add_ps(_mm512_cvtepi32_ps(a), _mm512_set1_ps(0.5f)), inverse);
    const __m512i y = _mm512_cvttps_epi32(product);
    return _mm512_mask_sub_epi32(y, _mm512_movepi32_mask(sum), _mm512_setzero_si512(), y);
}

/* An average of at most 16 channels, each in a lane of its own from the start. */
QC_AVX512 void average_few(const qc_byte_window *w, int is_signed, int64_t channels, int32_t low, int32_t high,
                           uint8_t *y) {
    const int32_t n = (int32_t)(w->rows * w->columns);
    const __mmask16 exist = (__mmask16)channels_from(0, channels);
    const uint8_t *row = w->x;
    __m512i sum = _mm512_setzero_si512();
    for (int64_t r = 0; r < w->rows; ++r, row += w->row_distance) {
        const uint8_t *pixel = row;
        for (int64_t k = 0; k < w->columns; ++k, pixel += w->distance) {
            const __m128i bytes = _mm_maskz_loadu_epi8(exist, pixel);
            sum = _mm512_add_epi32(sum, is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes));
        }
    }
    const __m512i q = quotient(sum, _mm512_set1_epi32(n / 2), _mm512_set1_ps(1.0f / (float)n));
    const __m512i clamped = _mm512_min_epi32(_mm512_max_epi32(q, _mm512_set1_epi32(low)), _mm512_set1_epi32(high));
    _mm_mask_storeu_epi8(y, exist, _mm512_cvtepi32_epi8(clamped));
}

__attribute__((target(QC_AVX512_TARGET))) static void average(const qc_byte_window *w, int is_signed, int64_t channels,
                                                              int32_t low, int32_t high, uint8_t *y) {
    if (channels <= 16) {
        average_few(w, is_signed, channels, low, high, y);
        return;
    }
    const int32_t n = (int32_t)(w->rows * w->columns);
    const __m512i half = _mm512_set1_epi32(n / 2), flipped = _mm512_set1_epi32(is_signed ? 128 * n : 0);
    const __m512i lowest = _mm512_set1_epi16((int16_t)low), highest = _mm512_set1_epi16((int16_t)high);
    const __m512 inverse = _mm512_set1_ps(1.0f / (float)n);
    for (int64_t c = 0; c < channels; c += 64) {
        const __mmask64 exist = channels_from(c, channels);
        __m512i q[4];
        window_sums(w, w->x + c, is_signed ? 0x80 : 0, exist, q);
        for (int j = 0; j < 4; ++j) q[j] = quotient(_mm512_sub_epi32(q[j], flipped), half, inverse);
        const __m512i a = _mm512_min_epi16(_mm512_max_epi16(_mm512_packs_epi32(q[0], q[1]), lowest), highest);
        const __m512i b = _mm512_min_epi16(_mm512_max_epi16(_mm512_packs_epi32(q[2], q[3]), lowest), highest);
        _mm512_mask_storeu_epi8(y + c, exist, is_signed ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b));
    }
}

/* With signed bytes flipped, the order is that of unsigned ones. */
__attribute__((target(QC_AVX512_TARGET))) static void maximum(const qc_byte_window *w, int is_signed, int64_t channels,
                                                              int32_t low, int32_t high, uint8_t *y) {
    const int32_t shift = is_signed ? 128 : 0;
    const __m512i bits = _mm512_set1_epi8((char)shift), highest = _mm512_set1_epi8((char)(high + shift));
    for (int64_t c = 0; c < channels; c += 64) {
        const __mmask64 exist = channels_from(c, channels);
        const uint8_t *row = w->x + c;
        __m512i most = _mm512_set1_epi8((char)(low + shift));
        for (int64_t r = 0; r < w->rows; ++r, row += w->row_distance) {
            const uint8_t *pixel = row;
            for (int64_t k = 0; k < w->columns; ++k, pixel += w->distance)
                most = _mm512_max_epu8(most, _mm512_xor_si512(_mm512_maskz_loadu_epi8(exist, pixel), bits));
        }
        _mm512_mask_storeu_epi8(y + c, exist, _mm512_xor_si512(_mm512_min_epu8(most, highest), bits));
    }
}

const qc_pool_isa qc_pool_vnni = {.sums = sums, .row_sum = row_sum, .average = average, .maximum = maximum};
