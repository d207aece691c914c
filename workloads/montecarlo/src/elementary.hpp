// exp, log and sin/cos of whole turns, out of +, -, *, / and integer shifts only.
//
// Not libm's, for two reasons. IEEE 754 fixes the result of every operation used here,
// so a price has the same bits on every machine, compiler and C library, which libm does
// not promise. And there is no branch and no call, so loops over these become SIMD code.
// Requires that the compiler neither fuses a*b+c (-ffp-contract=off) nor reorders sums
// (no -ffast-math).
//
// The polynomials interpolate at Chebyshev nodes, computed in 60-digit arithmetic; the
// stated errors are theirs, to which a rounding or two comes. `unit_test.cpp` measures
// the whole against libm.
#pragma once

#include <cfloat>
#include <cstdint>
#include <cstring>

#include "simd.hpp"

#if defined(__FAST_MATH__)
#error "-ffast-math would make results depend on the compiler: build without it"
#endif
#if FLT_EVAL_METHOD != 0
#error "double arithmetic must not carry extra precision: build for SSE2 (-mfpmath=sse)"
#endif

namespace montecarlo {

struct SinCos {
    double sin;
    double cos;
};

MONTECARLO_INLINE std::uint64_t bits_of(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

MONTECARLO_INLINE double double_of(std::uint64_t bits) {
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

// A double near 2^52 has its integer part in its low bits: adding this rounds to an
// integer (ties to even) and leaves that integer there, negative ones included.
constexpr double round_to_integer = 0x1.8p52;

// e^x for |x| <= 700; polynomial's relative error 4.2e-18.
MONTECARLO_INLINE double exponential(double x) {
    constexpr double log2_e = 0x1.71547652b82fep+0;
    constexpr double ln2_high = 0x1.62e42fee00000p-1;  // 21 low zero bits: n * ln2_high is exact
    constexpr double ln2_low = 0x1.a39ef35793c76p-33;
    const double shifted = x * log2_e + round_to_integer;
    const double n = shifted - round_to_integer;
    const double r = (x - n * ln2_high) - n * ln2_low;  // |r| <= ln(2)/2
    double p = 0x1.af631d0059becp-26;
    p = p * r + 0x1.28b4057f44145p-22;
    p = p * r + 0x1.71ddf5749d126p-19;
    p = p * r + 0x1.a01991ac8730ap-16;
    p = p * r + 0x1.a01a01b14378fp-13;
    p = p * r + 0x1.6c16c187fbe02p-10;
    p = p * r + 0x1.111111110f225p-7;
    p = p * r + 0x1.555555554f0cfp-5;
    p = p * r + 0x1.555555555555ap-3;
    p = p * r + 0x1.0000000000011p-1;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return double_of(bits_of(p) + (bits_of(shifted) << 52));  // p * 2^n
}

// ln(x) for normal x > 0; polynomial's relative error 5e-18 of the result.
MONTECARLO_INLINE double logarithm(double x) {
    constexpr double ln2_high = 0x1.62e42fee00000p-1;
    constexpr double ln2_low = 0x1.a39ef35793c76p-33;
    constexpr std::uint64_t sqrt_half = 0x3FE6A09E667F3BCDu;
    // x = 2^n * m with sqrt(1/2) <= m < sqrt(2).
    const std::uint64_t above = bits_of(x) - sqrt_half;
    const double m = double_of((above & 0x000FFFFFFFFFFFFFu) + sqrt_half);
    // The 12 bits over m are n in two's complement; 2^52 + 2048 + n is exact.
    const double n = double_of(bits_of(0x1p52) | ((above >> 52) ^ 0x800u)) - (0x1p52 + 0x800);
    const double f = m - 1.0;
    const double s = f / (2.0 + f);  // ln(m) = 2 atanh(s), |s| <= 0.172
    const double z = s * s;
    double p = 0x1.2b5900de53b32p-3;
    p = p * z + 0x1.39fe51a7c18f9p-3;
    p = p * z + 0x1.7462b51cb66b1p-3;
    p = p * z + 0x1.c71c62e3f11e6p-3;
    p = p * z + 0x1.2492492df281ap-2;
    p = p * z + 0x1.99999999952d7p-2;
    p = p * z + 0x1.5555555555558p-1;
    return n * ln2_high + (2.0 * s + (s * (z * p) + n * ln2_low));
}

// sin and cos of 2 pi x for 0 <= x < 1; relative errors 3.5e-18 and 6.7e-17. The
// reduction to an eighth of a turn is exact, unlike one of an angle in radians.
MONTECARLO_INLINE SinCos sine_and_cosine_of_turns(double x) {
    const double shifted = x * 4.0 + round_to_integer;
    const double quarters = shifted - round_to_integer;
    const std::uint64_t quadrant = bits_of(shifted);  // only the lowest two bits matter
    const double r = x - quarters * 0.25;             // |r| <= 1/8
    const double z = r * r;
    double s = 0x1.e3f38399551bfp+1;
    s = s * z - 0x1.e30071afc3e59p+3;
    s = s * z + 0x1.50782fda12d96p+5;
    s = s * z - 0x1.32d2cce2e5b19p+6;
    s = s * z + 0x1.466bc677587f8p+6;
    s = s * z - 0x1.4abbce625be41p+5;
    s = s * z + 0x1.921fb54442d18p+2;
    s = s * r;
    double c = 0x1.f3dbcea61b1a4p+2;
    c = c * z - 0x1.a6c9c1be9eb49p+4;
    c = c * z + 0x1.e1f4fb60281f6p+5;
    c = c * z - 0x1.55d3c7dbfd139p+6;
    c = c * z + 0x1.03c1f081b0780p+6;
    c = c * z - 0x1.3bd3cc9be458bp+4;
    c = c * z + 1.0;
    // An odd quadrant swaps the two; the sign bits come from the quadrant's bits.
    const std::uint64_t swap = 0 - (quadrant & 1);
    const std::uint64_t difference = (bits_of(s) ^ bits_of(c)) & swap;
    const std::uint64_t sine_sign = (quadrant >> 1) << 63;
    const std::uint64_t cosine_sign = ((quadrant + 1) >> 1) << 63;
    return {double_of(bits_of(s) ^ difference ^ sine_sign),
            double_of(bits_of(c) ^ difference ^ cosine_sign)};
}

}  // namespace montecarlo
