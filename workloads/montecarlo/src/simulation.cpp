#include "simulation.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "elementary.hpp"
#include "normals.hpp"
#include "simd.hpp"

namespace montecarlo {
namespace {

// Sample i of a group is added to lane i % lanes, and the lanes are then added in a fixed
// order: the one in which SIMD registers of up to 512 bits add anyway.
constexpr std::size_t lanes = 8;
static_assert(group_size % lanes == 0);
static_assert(block_size % group_size == 0);

MONTECARLO_INLINE double positive_part(double value) { return value > 0.0 ? value : 0.0; }

MONTECARLO_INLINE double total(const std::array<double, lanes>& lane) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
           ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

template <Sampling sampling>
MONTECARLO_INLINE BlockSums sum_group(const Payoff& payoff, double shift, const double* normals,
                                      std::size_t count) {
    double deviation[group_size];
    for (std::size_t i = 0; i < group_size; ++i) {
        const double growth = exponential(payoff.spread * normals[i]);
        const double up = positive_part(payoff.sign * (payoff.scale * growth - payoff.strike));
        if constexpr (sampling == Sampling::plain) {
            deviation[i] = up - shift;
        } else {
            const double down =
                positive_part(payoff.sign * (payoff.scale / growth - payoff.strike));
            deviation[i] = 0.5 * (up + down) - shift;
        }
    }
    std::fill(deviation + count, deviation + group_size, 0.0);
    std::array<double, lanes> sum{};
    std::array<double, lanes> squares{};
    for (std::size_t i = 0; i < group_size; i += lanes) {
        for (std::size_t lane = 0; lane < lanes; ++lane) {
            sum[lane] += deviation[i + lane];
            squares[lane] += deviation[i + lane] * deviation[i + lane];
        }
    }
    return {total(sum), total(squares)};
}

MONTECARLO_EACH_WIDTH
BlockSums sum_group_plain(const Payoff& payoff, double shift, const double* normals,
                          std::size_t count) {
    return sum_group<Sampling::plain>(payoff, shift, normals, count);
}

MONTECARLO_EACH_WIDTH
BlockSums sum_group_antithetic(const Payoff& payoff, double shift, const double* normals,
                               std::size_t count) {
    return sum_group<Sampling::antithetic>(payoff, shift, normals, count);
}

}  // namespace

std::uint64_t samples(const Simulation& simulation) {
    return simulation.sampling == Sampling::plain ? simulation.paths : simulation.paths / 2;
}

std::uint64_t blocks(const Simulation& simulation) {
    const std::uint64_t count = samples(simulation);
    return count / block_size + (count % block_size != 0);
}

std::uint64_t samples_in_block(const Simulation& simulation, std::uint64_t block) {
    return std::min(block_size, samples(simulation) - block * block_size);
}

std::vector<BlockSums> simulate_block(const Simulation& simulation,
                                      const std::vector<Payoff>& payoffs, std::uint64_t block) {
    const auto sum_one_group =
        simulation.sampling == Sampling::plain ? sum_group_plain : sum_group_antithetic;
    std::vector<BlockSums> sums(payoffs.size(), BlockSums{0.0, 0.0});
    std::array<double, group_size> normals;
    const std::uint64_t first_group = block * (block_size / group_size);
    const std::uint64_t last_sample = samples_in_block(simulation, block);
    for (std::uint64_t done = 0; done < last_sample; done += group_size) {
        normals_of_group(simulation.seed, first_group + done / group_size, normals.data());
        const std::size_t count =
            static_cast<std::size_t>(std::min<std::uint64_t>(group_size, last_sample - done));
        for (std::size_t i = 0; i < payoffs.size(); ++i) {
            const BlockSums group =
                sum_one_group(payoffs[i], certain_value(payoffs[i]), normals.data(), count);
            sums[i].sum += group.sum;
            sums[i].sum_of_squares += group.sum_of_squares;
        }
    }
    return sums;
}

}  // namespace montecarlo
