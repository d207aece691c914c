// Times of the pricer and of its peers, as lines `name nanoseconds`; driven by montecarlo.py.
//
// Each is timed in processor time, in turn, several rounds; the median is printed. `bound`
// is built in its own unit with -Ofast -march=native, as no portable program may be.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "normals.hpp"
#include "option.hpp"
#include "philox.hpp"
#include "simulation.hpp"

using namespace montecarlo;

double bound(const std::vector<Payoff>& payoffs, const double* normals, std::size_t count);

namespace {

volatile double sink;

double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The program one writes first: the standard library's generator, normals and exp.
double standard_library(const std::vector<Payoff>& payoffs, std::uint64_t paths) {
    std::mt19937_64 engine(42);
    std::normal_distribution<double> normal;
    std::vector<double> sum(payoffs.size()), squares(payoffs.size());
    for (std::uint64_t i = 0; i < paths / 2; ++i) {
        const double z = normal(engine);
        for (std::size_t k = 0; k < payoffs.size(); ++k) {
            const Payoff& p = payoffs[k];
            const double up = std::exp(p.spread * z), down = std::exp(-p.spread * z);
            const double sample = 0.5 * (std::max(p.sign * (p.scale * up - p.strike), 0.0) +
                                         std::max(p.sign * (p.scale * down - p.strike), 0.0));
            sum[k] += sample;
            squares[k] += sample * sample;
        }
    }
    return sum[0] + squares[0];
}

std::pair<double, double> uniforms(std::uint64_t draw) {
    const Counter r = philox4x32_10(
        {static_cast<std::uint32_t>(draw), static_cast<std::uint32_t>(draw >> 32), 0, 0}, {42, 0});
    const auto uniform = [](std::uint32_t low, std::uint32_t high) {
        return (static_cast<double>((static_cast<std::uint64_t>(high) << 32 | low) >> 12) + 0.5) *
               0x1p-52;
    };
    return {uniform(r[0], r[1]), uniform(r[2], r[3])};
}

double quotient(double r, const std::array<double, 8>& a, const std::array<double, 7>& b) {
    double above = a[7], below = b[6];
    for (int i = 6; i >= 0; --i) {
        above = above * r + a[static_cast<std::size_t>(i)];
        below = below * r + (i > 0 ? b[static_cast<std::size_t>(i - 1)] : 1.0);
    }
    return above / below;
}

// Wichura, algorithm AS 241 (PPND16), Applied Statistics 37, 1988.
double inverse_normal(double u) {
    const double q = u - 0.5;
    if (std::fabs(q) <= 0.425) {
        return q * quotient(0.180625 - q * q,
                            {3.3871328727963666080e0, 1.3314166789178437745e2,
                             1.9715909503065514427e3, 1.3731693765509461125e4,
                             4.5921953931549871457e4, 6.7265770927008700853e4,
                             3.3430575583588128105e4, 2.5090809287301226727e3},
                            {4.2313330701600911252e1, 6.8718700749205790830e2,
                             5.3941960214247511077e3, 2.1213794301586595867e4,
                             3.9307895800092710610e4, 2.8729085735721942674e4,
                             5.2264952788528545610e3});
    }
    // Beyond |z| = 6.7 another pair of polynomials is due; one draw in 10^10 goes there.
    const double r = std::sqrt(-std::log(q < 0 ? u : 1.0 - u));
    const double z = quotient(r - 1.6,
                              {1.42343711074968357734e0, 4.63033784615654529590e0,
                               5.76949722146069140550e0, 3.64784832476320460504e0,
                               1.27045825245236838258e0, 2.41780725177450611770e-1,
                               2.27238449892691845833e-2, 7.74545014278341407640e-4},
                              {2.05319162663775882187e0, 1.67638483018380384940e0,
                               6.89767334985100004550e-1, 1.48103976427480074590e-1,
                               1.51986665636164571966e-2, 5.47593808499534494600e-4,
                               1.05075007164441684324e-9});
    return q < 0 ? -z : z;
}

std::vector<Payoff> portfolio() {
    std::vector<Payoff> payoffs;
    for (int i = 0; i < 12; ++i) {
        payoffs.push_back(payoff_of({"x", i % 2 ? Kind::call : Kind::put, 100.0, 90.0 + 2 * i,
                                     0.03, 0.01, 0.15 + 0.02 * i, 0.5 + 0.1 * i}));
    }
    return payoffs;
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
    const std::vector<Payoff> payoffs = portfolio();
    const auto options = static_cast<double>(payoffs.size());
    constexpr std::uint64_t paths = 2 * block_size;
    constexpr std::uint64_t few = paths / 8;
    constexpr std::uint64_t groups = 512;
    constexpr double drawn = groups * group_size;
    const Simulation antithetic{42, paths, Sampling::antithetic};
    const Simulation plain{42, paths / 2, Sampling::plain};
    std::vector<double> z(group_size);

    struct Case {
        std::string name;
        double units;
        std::function<double()> run;
        std::vector<double> seconds;
    };
    std::vector<Case> cases{
        {"price.antithetic", static_cast<double>(paths) * options,
         [&] { return simulate_block(antithetic, payoffs, 0)[0].sum; }, {}},
        {"price.plain", static_cast<double>(paths / 2) * options,
         [&] { return simulate_block(plain, payoffs, 0)[0].sum; }, {}},
        {"price.standard_library", static_cast<double>(few) * options,
         [&] { return standard_library(payoffs, few); }, {}},
        {"price.bound", static_cast<double>(paths) * options,
         [&] {
             double sum = 0;
             for (std::uint64_t i = 0; i < paths / 2; i += group_size) {
                 z[0] = static_cast<double>(i) * 1e-9;
                 sum += bound(payoffs, z.data(), group_size);
             }
             return sum;
         },
         {}},
        {"normal.ours", drawn,
         [&] {
             double sum = 0;
             for (std::uint64_t g = 0; g < groups; ++g) {
                 normals_of_group(42, g, z.data());
                 sum += z[0];
             }
             return sum;
         },
         {}},
        {"normal.standard_library", drawn,
         [&] {
             std::mt19937_64 engine(42);
             std::normal_distribution<double> normal;
             double sum = 0;
             for (std::uint64_t i = 0; i < groups * group_size; ++i) {
                 sum += normal(engine);
             }
             return sum;
         },
         {}},
        {"normal.philox_libm_box_muller", drawn,
         [&] {
             double sum = 0;
             for (std::uint64_t i = 0; i < groups * group_size / 2; ++i) {
                 const auto [a, b] = uniforms(i);
                 const double radius = std::sqrt(-2 * std::log(a));
                 sum += radius * std::cos(6.283185307179586 * b) +
                        radius * std::sin(6.283185307179586 * b);
             }
             return sum;
         },
         {}},
        {"normal.philox_inverse", drawn,
         [&] {
             double sum = 0;
             for (std::uint64_t i = 0; i < groups * group_size / 2; ++i) {
                 const auto [a, b] = uniforms(i);
                 sum += inverse_normal(a) + inverse_normal(b);
             }
             return sum;
         },
         {}},
        {"normal.philox_alone", drawn,
         [&] {
             double sum = 0;
             for (std::uint64_t i = 0; i < groups * group_size / 2; ++i) {
                 const auto [a, b] = uniforms(i);
                 sum += a + b;
             }
             return sum;
         },
         {}},
    };
    normals_of_group(42, 0, z.data());
    for (int round = 0; round < rounds; ++round) {
        for (Case& c : cases) {
            const double start = processor_seconds();
            sink = c.run();
            c.seconds.push_back(processor_seconds() - start);
        }
    }
    for (Case& c : cases) {
        std::sort(c.seconds.begin(), c.seconds.end());
        std::printf("%s %.4f\n", c.name.c_str(), c.seconds[c.seconds.size() / 2] / c.units * 1e9);
    }
}
