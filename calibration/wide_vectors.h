#ifndef CALSERVE_CALIBRATION_WIDE_VECTORS_H_
#define CALSERVE_CALIBRATION_WIDE_VECTORS_H_

// A function that is compiled three times, and chosen by the processor at start. Where it computes with
// floats, its file is compiled with -ffp-contract=off: fused multiply-adds would differ from machine to
// machine. Sanitizers' run-times are not ready when such a choice is made.
#if defined(__x86_64__) && !defined(CALSERVE_SANITIZED)
#define CALSERVE_WIDE_VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CALSERVE_WIDE_VECTORS
#endif

#endif  // CALSERVE_CALIBRATION_WIDE_VECTORS_H_
