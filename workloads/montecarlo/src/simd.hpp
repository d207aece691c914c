// Which functions the compiler builds once for each SIMD width, to choose at start.
//
// Neither changes any result: every width does the same IEEE operations in the same order
// (`elementary.hpp`). A program built on one machine thus runs on any, at that one's width.
#pragma once

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(MONTECARLO_ONE_WIDTH)
#if __GNUC__ >= 12
#define MONTECARLO_EACH_WIDTH __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define MONTECARLO_EACH_WIDTH __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#else
#define MONTECARLO_EACH_WIDTH
#endif

// What such a function calls must be compiled into it, or it stays at the default width.
#define MONTECARLO_INLINE inline __attribute__((always_inline))
