/* Windows of bytes on AVX2, 32 channels at a time. What is left at the end is done one by one, or, where there are 32
 * channels, with the last 32 of them. */
#include "pool.h"
#include "requantize_avx2.h"

QC_AVX2 __m256i load(const void *bytes) {
    return _mm256_loadu_si256((const __m256i *)bytes);
}

/* Add sums in 16 bits to those in 32: vector j has, in its lane l, channels 16 l + 4 j to 16 l + 4 j + 3. */
QC_AVX2 void widen(const __m256i narrow[2], __m256i wide[4]) {
    const __m256i zero = _mm256_setzero_si256();
    for (int i = 0; i < 2; ++i) {
        wide[2 * i] = _mm256_add_epi32(wide[2 * i], _mm256_unpacklo_epi16(narrow[i], zero));
        wide[2 * i + 1] = _mm256_add_epi32(wide[2 * i + 1], _mm256_unpackhi_epi16(narrow[i], zero));
    }
}

/* Sums of 32 channels from x on, in the order of `widen`. */
QC_AVX2 void window_sums(const qc_byte_window *w, const uint8_t *x, uint8_t flip, __m256i wide[4]) {
    const __m256i bits = _mm256_set1_epi8((char)flip), zero = _mm256_setzero_si256();
    __m256i narrow[2] = {zero, zero};
    int32_t room = 256; /* bytes that a sum in 16 bits has room for */
    for (int j = 0; j < 4; ++j) wide[j] = zero;
    for (int64_t r = 0; r < w->rows; ++r, x += w->row_distance) {
        const uint8_t *pixel = x;
        for (int64_t k = 0; k < w->columns; ++k, pixel += w->distance) {
            const __m256i bytes = _mm256_xor_si256(load(pixel), bits);
            narrow[0] = _mm256_add_epi16(narrow[0], _mm256_unpacklo_epi8(bytes, zero));
            narrow[1] = _mm256_add_epi16(narrow[1], _mm256_unpackhi_epi8(bytes, zero));
            if (--room > 0) continue;
            widen(narrow, wide);
            narrow[0] = narrow[1] = zero;
            room = 256;
        }
    }
    widen(narrow, wide);
}

/* The sum of one channel from x on. */
static uint32_t channel_sum(const qc_byte_window *w, const uint8_t *x, uint8_t flip) {
    uint32_t sum = 0;
    for (int64_t r = 0; r < w->rows; ++r)
        for (int64_t k = 0; k < w->columns; ++k)
            sum += (uint32_t)(x[r * w->row_distance + k * w->distance] ^ flip);
    return sum;
}

__attribute__((target("avx2"))) static void sums(const qc_byte_window *w, uint8_t flip, int64_t channels,
                                                 int32_t *acc) {
    int64_t c = 0;
    for (; c + 32 <= channels; c += 32) {
        __m256i wide[4];
        int32_t parts[4][2][4]; /* [vector][lane][element] */
        window_sums(w, w->x + c, flip, wide);
        for (int j = 0; j < 4; ++j) _mm256_storeu_si256((__m256i *)(void *)parts[j], wide[j]);
        for (int i = 0; i < 32; ++i)
            acc[c + i] = (int32_t)((uint32_t)acc[c + i] + (uint32_t)parts[i % 16 / 4][i / 16][i % 4]);
    }
    for (; c < channels; ++c) acc[c] = (int32_t)((uint32_t)acc[c] + channel_sum(w, w->x + c, flip));
}

__attribute__((target("avx2"))) static int64_t row_sum(const uint8_t *x, uint8_t flip, int64_t count) {
    const __m256i bits = _mm256_set1_epi8((char)flip), zero = _mm256_setzero_si256();
    __m256i total = zero;
    int64_t i = 0, parts[4], sum = 0;
    for (; i + 32 <= count; i += 32)
        total = _mm256_add_epi64(total, _mm256_sad_epu8(_mm256_xor_si256(load(x + i), bits), zero));
    _mm256_storeu_si256((__m256i *)(void *)parts, total);
    for (; i < count; ++i) sum += x[i] ^ flip;
    return sum + parts[0] + parts[1] + parts[2] + parts[3];
}

/* Nearest quotients: with a = |sum| + n / 2, floor(a / n) = floor((a + 1/2) / n), which is at least 1 / 2n from the next
 * whole number; the product with 1 / n in float32 errs less, for n <= QC_AVERAGE_PIXELS and sums of bytes. */
QC_AVX2 __m256i quotient(__m256i sum, __m256i half, __m256 inverse) {
    const __m256i a = _mm256_add_epi32(_mm256_abs_epi32(sum), half);
    const __m256 product = _mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(a), _mm256_set1_ps(0.5f)), inverse);
    const __m256i y = _mm256_cvttps_epi32(product), sign = _mm256_srai_epi32(sum, 31);
    return _mm256_sub_epi32(_mm256_xor_si256(y, sign), sign);
}

QC_AVX2 void average_32(const qc_byte_window *w, int is_signed, int64_t c, int32_t low, int32_t high, uint8_t *y) {
    const int32_t n = (int32_t)(w->rows * w->columns);
    const __m256i half = _mm256_set1_epi32(n / 2), flipped = _mm256_set1_epi32(is_signed ? 128 * n : 0);
    const __m256i lowest = _mm256_set1_epi16((int16_t)low), highest = _mm256_set1_epi16((int16_t)high);
    const __m256 inverse = _mm256_set1_ps(1.0f / (float)n);
    __m256i q[4];
    window_sums(w, w->x + c, is_signed ? 0x80 : 0, q);
    for (int j = 0; j < 4; ++j) q[j] = quotient(_mm256_sub_epi32(q[j], flipped), half, inverse);
    const __m256i a = _mm256_min_epi16(_mm256_max_epi16(_mm256_packs_epi32(q[0], q[1]), lowest), highest);
    const __m256i b = _mm256_min_epi16(_mm256_max_epi16(_mm256_packs_epi32(q[2], q[3]), lowest), highest);
    const __m256i bytes = is_signed ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b);
    _mm256_storeu_si256((__m256i *)(void *)(y + c), bytes);
}

__attribute__((target("avx2"))) static void average(const qc_byte_window *w, int is_signed, int64_t channels,
                                                    int32_t low, int32_t high, uint8_t *y) {
    int64_t c = 0;
    for (; c + 32 <= channels; c += 32) average_32(w, is_signed, c, low, high, y);
    if (c == channels) return;
    if (channels >= 32) {
        average_32(w, is_signed, channels - 32, low, high, y);
        return;
    }
    const int32_t n = (int32_t)(w->rows * w->columns);
    for (; c < channels; ++c) {
        const int32_t sum = (int32_t)channel_sum(w, w->x + c, is_signed ? 0x80 : 0) - (is_signed ? 128 * n : 0);
        y[c] = (uint8_t)qc_clamp(qc_nearest_average(sum, n), low, high);
    }
}

/* With signed bytes flipped, the order is that of unsigned ones. */
QC_AVX2 void maximum_32(const qc_byte_window *w, int32_t shift, int64_t c, int32_t low, int32_t high, uint8_t *y) {
    const __m256i bits = _mm256_set1_epi8((char)shift), highest = _mm256_set1_epi8((char)(high + shift));
    const uint8_t *row = w->x + c;
    __m256i most = _mm256_set1_epi8((char)(low + shift));
    for (int64_t r = 0; r < w->rows; ++r, row += w->row_distance) {
        const uint8_t *pixel = row;
        for (int64_t k = 0; k < w->columns; ++k, pixel += w->distance)
            most = _mm256_max_epu8(most, _mm256_xor_si256(load(pixel), bits));
    }
    _mm256_storeu_si256((__m256i *)(void *)(y + c), _mm256_xor_si256(_mm256_min_epu8(most, highest), bits));
}

__attribute__((target("avx2"))) static void maximum(const qc_byte_window *w, int is_signed, int64_t channels,
                                                    int32_t low, int32_t high, uint8_t *y) {
    const int32_t shift = is_signed ? 128 : 0;
    int64_t c = 0;
    for (; c + 32 <= channels; c += 32) maximum_32(w, shift, c, low, high, y);
    if (c == channels) return;
    if (channels >= 32) {
        maximum_32(w, shift, channels - 32, low, high, y);
        return;
    }
    for (; c < channels; ++c) {
        int32_t most = low + shift;
        for (int64_t r = 0; r < w->rows; ++r) {
            for (int64_t k = 0; k < w->columns; ++k) {
                const int32_t x = w->x[c + r * w->row_distance + k * w->distance] ^ shift;
                most = x > most ? x : most;
            }
        }
        y[c] = (uint8_t)((most < high + shift ? most : high + shift) ^ shift);
    }
}

const qc_pool_isa qc_pool_avx2 = {.sums = sums, .row_sum = row_sum, .average = average, .maximum = maximum};
