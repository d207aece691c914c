// The command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulation.hpp"

namespace montecarlo {

struct Arguments {
    bool help = false;
    std::string portfolio;
    std::string output;  // empty: standard output
    Simulation simulation{0, 0, Sampling::antithetic};
    std::uint64_t slice = 0;
    std::uint64_t slices = 1;
};

struct BlockRange {
    std::uint64_t first;
    std::uint64_t end;
};

// Throws BadInput with every finding.
Arguments parse_arguments(const std::vector<std::string>& arguments);

// The blocks of a slice: every block is in exactly one of the slices, and no two slices
// differ by more than a block. Slices beyond the number of blocks are empty.
BlockRange blocks_of_slice(const Arguments& arguments);

std::string help_text();

}  // namespace montecarlo
