#include "normals.hpp"

#include <cmath>

#include "elementary.hpp"
#include "philox.hpp"
#include "simd.hpp"

namespace montecarlo {

MONTECARLO_EACH_WIDTH
void normals_of_group(std::uint64_t seed, std::uint64_t group, double* normals) {
    constexpr std::size_t draws = group_size / 2;
    constexpr std::uint64_t one = 0x3FF0000000000000u;
    const Key key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    const std::uint64_t first_draw = group * draws;
    // Separate loops over small arrays: each becomes SIMD code, and all stay in the L1 cache.
    double radius_uniform[draws];  // (0, 1]: its logarithm is finite
    double angle_uniform[draws];   // [0, 1)
    for (std::size_t j = 0; j < draws; ++j) {
        const std::uint64_t draw = first_draw + j;
        const Counter random = philox4x32_10({static_cast<std::uint32_t>(draw),
                                              static_cast<std::uint32_t>(draw >> 32), 0, 0},
                                             key);
        const std::uint64_t a = static_cast<std::uint64_t>(random[1]) << 32 | random[0];
        const std::uint64_t b = static_cast<std::uint64_t>(random[3]) << 32 | random[2];
        radius_uniform[j] = 2.0 - double_of(one | a >> 12);
        angle_uniform[j] = double_of(one | b >> 12) - 1.0;
    }
    for (std::size_t j = 0; j < draws; ++j) {
        const double radius = std::sqrt(-2.0 * logarithm(radius_uniform[j]));
        const SinCos angle = sine_and_cosine_of_turns(angle_uniform[j]);
        normals[j] = radius * angle.cos;
        normals[j + draws] = radius * angle.sin;
    }
}

}  // namespace montecarlo
