// Sums of payoffs over blocks of paths.
//
// A block is the unit in which a simulation is split, and the one thing that decides the
// order of additions: its sums have the same bits whichever task computes them. What adds
// up the blocks (`merge.py`) does so exactly, so no split shows in the result.
#pragma once

#include <cstdint>
#include <vector>

#include "option.hpp"

namespace montecarlo {

// Plain: a sample is the payoff at one normal z, of one path. Antithetic: a sample is the
// mean of the payoffs at z and -z, of two paths. The two are dependent, so only the spread
// between *samples* says how far off the mean may be.
enum class Sampling { plain, antithetic };

struct Simulation {
    std::uint64_t seed;
    std::uint64_t paths;  // at least 1; even where antithetic
    Sampling sampling;
};

// Normals to a block; the last one may have fewer.
constexpr std::uint64_t block_size = std::uint64_t{1} << 20;

// Sums over a block's samples of (sample - certain_value) and of its square.
struct BlockSums {
    double sum;
    double sum_of_squares;
};

std::uint64_t samples(const Simulation& simulation);
std::uint64_t blocks(const Simulation& simulation);
std::uint64_t samples_in_block(const Simulation& simulation, std::uint64_t block);

// The sums of every payoff over one block, in the payoffs' order. All payoffs see the same
// normals (common random numbers): each one's result is what it would be alone.
std::vector<BlockSums> simulate_block(const Simulation& simulation,
                                      const std::vector<Payoff>& payoffs, std::uint64_t block);

}  // namespace montecarlo
