/* Measures what one core can multiply and add in 8-bit integers when nothing else is asked of it: the roof that
 * tarjim's kernels are compared with.
 *
 * cc -O2 bench_peak.c -o bench_peak && ./bench_peak
 *
 * Twelve independent sums, operands in registers. Prints giga multiply-adds a second for each instruction the
 * processor has: AVX2 `vpmaddubsw` (with the widening that sums of eight products need), AVX-VNNI and AVX-512 VNNI
 * `vpdpbusd`. */
#include <immintrin.h>
#include <stdio.h>
#include <time.h>

#define SUMS 12
#define ROUNDS 20000000L

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Products of pairs in 16 bits alone: the bare instruction. */
__attribute__((target("avx2"))) static double bare(void) {
    __m256i sum[SUMS], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(1);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_si256();
    double begun = seconds();
    for (long round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SUMS; i++) {
            __asm__ volatile("vpmaddubsw %1, %2, %0" : "=x"(sum[i]) : "x"(a), "x"(b));
        }
    return 32.0 * SUMS * ROUNDS / (seconds() - begun) * 1e-9;
}

/* Four such products added in 16 bits, then widened and added to 32: what an AVX2 kernel can't do without. */
__attribute__((target("avx2"))) static double with_sums(void) {
    __m256i sum[3], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < 3; i++) sum[i] = _mm256_setzero_si256();
    double begun = seconds();
    for (long round = 0; round < ROUNDS; round++)
        for (int i = 0; i < 3; i++) {
            __m256i p, q, r, s;
            __asm__ volatile(
                "vpmaddubsw %5, %6, %1\n\tvpmaddubsw %5, %6, %2\n\tvpmaddubsw %5, %6, %3\n\tvpmaddubsw %5, %6, %4\n\t"
                "vpaddw %2, %1, %1\n\tvpaddw %4, %3, %3\n\tvpaddw %3, %1, %1\n\tvpmaddwd %7, %1, %1\n\tvpaddd %1, %0, %0"
                : "+x"(sum[i]), "=&x"(p), "=&x"(q), "=&x"(r), "=&x"(s)
                : "x"(a), "x"(b), "x"(ones));
        }
    return 4 * 32.0 * 3 * ROUNDS / (seconds() - begun) * 1e-9;
}

__attribute__((target("avxvnni"))) static double vnni_256(void) {
    __m256i sum[SUMS], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(1);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm256_setzero_si256();
    double begun = seconds();
    for (long round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SUMS; i++) __asm__ volatile("%{vex%} vpdpbusd %1, %2, %0" : "+x"(sum[i]) : "x"(a), "x"(b));
    return 32.0 * SUMS * ROUNDS / (seconds() - begun) * 1e-9;
}

__attribute__((target("avx512f,avx512vnni"))) static double vnni_512(void) {
    __m512i sum[SUMS], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(1);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_si512();
    double begun = seconds();
    for (long round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SUMS; i++) __asm__ volatile("vpdpbusd %1, %2, %0" : "+v"(sum[i]) : "v"(a), "v"(b));
    return 64.0 * SUMS * ROUNDS / (seconds() - begun) * 1e-9;
}

int main(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2")) {
        printf("avx2 vpmaddubsw alone          %6.0f G multiply-adds/s\n", bare());
        printf("avx2 summed to 32 bits         %6.0f G multiply-adds/s\n", with_sums());
    }
    unsigned a = 7, b, c = 1, d;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a >> 4 & 1) printf("avx-vnni vpdpbusd              %6.0f G multiply-adds/s\n", vnni_256());
    if (__builtin_cpu_supports("avx512vnni"))
        printf("avx512-vnni vpdpbusd           %6.0f G multiply-adds/s\n", vnni_512());
    return 0;
}
