// Philox4x32-10: a counter-based random generator.
//
// Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.
// The n-th output is a function of n and the key alone: there is no state to hand from
// one task to the next, so any range of paths can be simulated anywhere, in any order,
// and sees the numbers that it would have seen in a single run.
#pragma once

#include <array>
#include <cstdint>

#include "simd.hpp"

namespace montecarlo {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

// The 128 random bits at `counter` under `key`.
MONTECARLO_INLINE Counter philox4x32_10(Counter counter, Key key) {
    constexpr std::uint64_t multiplier_0 = 0xD2511F53u;
    constexpr std::uint64_t multiplier_1 = 0xCD9E8D57u;
    constexpr std::uint32_t weyl_0 = 0x9E3779B9u;
    constexpr std::uint32_t weyl_1 = 0xBB67AE85u;
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t product_0 = multiplier_0 * counter[0];
        const std::uint64_t product_1 = multiplier_1 * counter[2];
        counter = {static_cast<std::uint32_t>(product_1 >> 32) ^ counter[1] ^ key[0],
                   static_cast<std::uint32_t>(product_1),
                   static_cast<std::uint32_t>(product_0 >> 32) ^ counter[3] ^ key[1],
                   static_cast<std::uint32_t>(product_0)};
        key = {key[0] + weyl_0, key[1] + weyl_1};
    }
    return counter;
}

}  // namespace montecarlo
