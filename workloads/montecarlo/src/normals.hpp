// The standard normals of a simulation, as a function of seed and position alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace montecarlo {

// Normals come in groups of this many; a group is the unit in which they can be asked for.
constexpr std::size_t group_size = 1024;

// Fills `normals[0..group_size)` with the normals of group `group` under `seed`.
//
// Box-Muller on two 52-bit uniforms from one Philox call, so |normal| <= 8.5: draw j of
// the group gives normals j (the cosine) and j + group_size/2 (the sine).
void normals_of_group(std::uint64_t seed, std::uint64_t group, double* normals);

}  // namespace montecarlo
