// What must hold of the pricer's parts: `make check`. Prints each broken expectation.
//
// Every seed is fixed, so nothing here fails by chance: the bounds say how unlikely the
// figures would be if the code were right. Without a test framework, so that it builds
// wherever the program does.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "elementary.hpp"
#include "findings.hpp"
#include "normals.hpp"
#include "numbers.hpp"
#include "option.hpp"
#include "philox.hpp"
#include "portfolio.hpp"
#include "simulation.hpp"

using namespace montecarlo;

namespace {

int expectations = 0;
int broken = 0;

void expect(bool held, const char* text, int line, const std::string& context) {
    ++expectations;
    if (!held) {
        ++broken;
        std::printf("unit_test.cpp:%d: broken: %s  [%s]\n", line, text, context.c_str());
    }
}

#define EXPECT(condition, context) expect((condition), #condition, __LINE__, (context))

std::string show(double value) { return shortest(value); }

// Distance in units of the last place of the exact value.
double ulps(double got, long double exact) {
    const auto rounded = static_cast<double>(exact);
    const double next = std::nextafter(std::fabs(rounded), std::numeric_limits<double>::infinity());
    return static_cast<double>(std::fabs(got - exact) / (next - std::fabs(rounded)));
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

double black_scholes(const Option& o) {
    const double forward = o.spot * std::exp(-o.dividend_yield * o.expiry_years);
    const double strike = o.strike * std::exp(-o.rate * o.expiry_years);
    const double spread = o.volatility * std::sqrt(o.expiry_years);
    const double sign = o.kind == Kind::call ? 1.0 : -1.0;
    if (spread == 0.0) {
        return std::max(sign * (forward - strike), 0.0);
    }
    const double d1 = std::log(forward / strike) / spread + spread / 2;
    return sign * (forward * normal_cdf(sign * d1) - strike * normal_cdf(sign * (d1 - spread)));
}

struct Estimate {
    double price;
    double error;
};

// What merge.py does, in doubles.
Estimate estimate(const Option& option, const Simulation& simulation) {
    const Payoff payoff = payoff_of(option);
    BlockSums all{0.0, 0.0};
    for (std::uint64_t block = 0; block < blocks(simulation); ++block) {
        const BlockSums sums = simulate_block(simulation, {payoff}, block)[0];
        all.sum += sums.sum;
        all.sum_of_squares += sums.sum_of_squares;
    }
    const auto n = static_cast<double>(samples(simulation));
    const double mean = all.sum / n;
    const double variance = std::max(0.0, all.sum_of_squares - all.sum * mean) / (n - 1);
    return {certain_value(payoff) + mean, std::sqrt(variance / n)};
}

Option option(Kind kind, double strike, double volatility = 0.2, double expiry_years = 1.0) {
    return {"x", kind, 100.0, strike, 0.03, 0.01, volatility, expiry_years};
}

constexpr Sampling both_samplings[] = {Sampling::plain, Sampling::antithetic};

void philox_gives_the_published_answers() {
    // kat_vectors of Random123 1.14, lines "philox4x32 10".
    const struct {
        Counter counter;
        Key key;
        Counter answer;
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (const auto& c : cases) {
        EXPECT(philox4x32_10(c.counter, c.key) == c.answer, "known answer");
    }
}

void elementary_functions_are_as_good_as_libm() {
    double worst_exp = 0, worst_log = 0, worst_sin = 0, worst_cos = 0;
    for (int i = 0; i <= 200'000; ++i) {
        const double x = -700.0 + 0.007 * i;
        worst_exp = std::max(worst_exp, ulps(exponential(x), std::exp(static_cast<long double>(x))));
        const double y = std::ldexp(1.0 + i / 200'001.0, -(i % 60));
        worst_log = std::max(worst_log, ulps(logarithm(y), std::log(static_cast<long double>(y))));
        const double turns = i / 200'001.0;
        // The reference is reduced exactly, too: near its zeros an angle's rounding is large.
        const int quarters = static_cast<int>(std::lround(4 * turns));
        const long double angle =
            2 * 3.141592653589793238462643383279502884L * (turns - 0.25L * quarters);
        const long double turned[] = {std::sin(angle), std::cos(angle), -std::sin(angle),
                                      -std::cos(angle)};
        const SinCos got = sine_and_cosine_of_turns(turns);
        worst_sin = std::max(worst_sin, ulps(got.sin, turned[quarters % 4]));
        worst_cos = std::max(worst_cos, ulps(got.cos, turned[(quarters + 1) % 4]));
    }
    EXPECT(worst_exp < 1.25, show(worst_exp));
    EXPECT(worst_log < 2.0, show(worst_log));
    EXPECT(worst_sin < 2.0, show(worst_sin));
    EXPECT(worst_cos < 2.0, show(worst_cos));
    EXPECT(exponential(0.0) == 1.0, "exp(0)");
    EXPECT(logarithm(1.0) == 0.0, "ln(1)");
    EXPECT(std::fabs(logarithm(0x1p-52) + 52 * std::log(2.0)) < 1e-14, "least uniform");
    for (int quarter = 0; quarter < 4; ++quarter) {
        const SinCos got = sine_and_cosine_of_turns(0.25 * quarter);
        const double sines[] = {0, 1, 0, -1};
        EXPECT(got.sin == sines[quarter], std::to_string(quarter) + " quarters");
        EXPECT(got.cos == sines[(quarter + 1) % 4], std::to_string(quarter) + " quarters");
    }
}

void normals_are_normal() {
    constexpr std::size_t groups = 4096;
    constexpr double count = groups * group_size;
    constexpr std::size_t bins = 1024;
    std::vector<double> hits(bins, 0.0);
    double moments[7] = {};
    double pair = 0, neighbour = 0, beyond_4 = 0;
    std::vector<double> z(group_size);
    for (std::size_t group = 0; group < groups; ++group) {
        normals_of_group(2024, group, z.data());
        for (std::size_t i = 0; i < group_size; ++i) {
            double power = 1;
            for (double& moment : moments) {
                moment += power;
                power *= z[i];
            }
            const auto bin = static_cast<std::size_t>(normal_cdf(z[i]) * bins);
            hits[std::min(bin, bins - 1)] += 1;
            beyond_4 += std::fabs(z[i]) > 4.0;
            neighbour += i + 1 < group_size ? z[i] * z[i + 1] : 0.0;
            pair += i < group_size / 2 ? z[i] * z[i + group_size / 2] : 0.0;
        }
    }
    // Moments of the standard normal, and the variance of z^k: m(2k) - m(k)^2.
    const double exact[] = {1, 0, 1, 0, 3, 0, 15};
    const double variance[] = {0, 1, 2, 15, 96, 945, 10170};
    for (int k = 1; k <= 6; ++k) {
        const double apart =
            (moments[k] / count - exact[k]) / std::sqrt(variance[k] / count);
        EXPECT(std::fabs(apart) < 4.5, "moment " + std::to_string(k) + ": " + show(apart));
    }
    double chi_squared = 0;
    for (const double hit : hits) {
        chi_squared += (hit - count / bins) * (hit - count / bins) / (count / bins);
    }
    const double chi_apart = (chi_squared - (bins - 1)) / std::sqrt(2.0 * (bins - 1));
    EXPECT(std::fabs(chi_apart) < 4.5, show(chi_apart));
    const double expected_beyond = count * 2 * normal_cdf(-4.0);
    EXPECT(std::fabs(beyond_4 - expected_beyond) < 4.5 * std::sqrt(expected_beyond), show(beyond_4));
    EXPECT(std::fabs(neighbour) < 4.5 * std::sqrt(count), show(neighbour));
    EXPECT(std::fabs(pair) < 4.5 * std::sqrt(count / 2), show(pair));
}

void normals_depend_on_seed_and_position_alone() {
    std::vector<double> a(group_size), b(group_size);
    normals_of_group(7, 123, a.data());
    normals_of_group(7, 124, b.data());
    EXPECT(a != b, "two groups");
    normals_of_group(8, 123, b.data());
    EXPECT(a != b, "two seeds");
    normals_of_group(7 + (std::uint64_t{1} << 32), 123, b.data());
    EXPECT(a != b, "seeds that differ in their high half");
    normals_of_group(7, 123 + (std::uint64_t{1} << 32), b.data());
    EXPECT(a != b, "groups that differ in their high half");
    normals_of_group(7, 123, b.data());
    EXPECT(a == b, "the same again");
    const Counter random = philox4x32_10({123 * 512, 0, 0, 0}, {7, 0});
    const std::uint64_t first = static_cast<std::uint64_t>(random[1]) << 32 | random[0];
    const double radius = std::sqrt(-2 * std::log(1 - static_cast<double>(first >> 12) * 0x1p-52));
    EXPECT(std::fabs(std::hypot(a[0], a[512]) - radius) < 1e-14 * radius, "as documented");
}

void prices_are_within_their_errors_of_the_closed_form() {
    for (const Sampling sampling : both_samplings) {
        for (const Kind kind : {Kind::call, Kind::put}) {
            for (const double strike : {60.0, 90.0, 100.0, 110.0, 160.0}) {
                for (const double volatility : {0.05, 0.3, 0.9}) {
                    const Option o = option(kind, strike, volatility);
                    const Estimate got = estimate(o, {11, 1'000'000, sampling});
                    const double apart = (got.price - black_scholes(o)) / got.error;
                    // Where 100 paths of a million pay, the error itself is unknown.
                    const double paying = normal_cdf(
                        (kind == Kind::call ? 1 : -1) * std::log(100 / strike) / volatility);
                    EXPECT(paying < 1e-4 || std::fabs(apart) < 4.5,
                           show(strike) + " " + show(volatility) + ": " + show(apart));
                }
            }
        }
    }
}

void puts_and_calls_keep_parity_path_by_path() {
    for (const Sampling sampling : both_samplings) {
        const Simulation simulation{3, 100'000, sampling};
        const double least_strike = 1e-9;  // such a call is the stock itself
        const double stock = estimate(option(Kind::call, least_strike), simulation).price +
                             payoff_of(option(Kind::call, least_strike)).strike;
        for (const double strike : {50.0, 100.0, 200.0}) {
            const double call = estimate(option(Kind::call, strike), simulation).price;
            const double put = estimate(option(Kind::put, strike), simulation).price;
            const double discounted = payoff_of(option(Kind::put, strike)).strike;
            const double gap = call - put - (stock - discounted);
            EXPECT(std::fabs(gap) < 1e-10, show(gap));
        }
    }
}

void without_volatility_or_time_a_price_is_certain() {
    for (const Sampling sampling : both_samplings) {
        const Simulation simulation{5, 10'000, sampling};
        for (const Kind kind : {Kind::call, Kind::put}) {
            for (const double strike : {70.0, 100.0, 130.0}) {
                const double sign = kind == Kind::call ? 1.0 : -1.0;
                const Option still = option(kind, strike, 0.0);
                const Estimate got = estimate(still, simulation);
                EXPECT(got.error == 0.0, show(got.error));
                EXPECT(std::fabs(got.price - black_scholes(still)) < 1e-12, show(got.price));
                const Estimate now = estimate(option(kind, strike, 0.4, 0.0), simulation);
                EXPECT(now.error == 0.0, show(now.error));
                EXPECT(now.price == std::max(sign * (100.0 - strike), 0.0), show(now.price));
            }
        }
    }
}

void deep_in_and_out_of_the_money_hold() {
    for (const Sampling sampling : both_samplings) {
        const Simulation simulation{6, 200'000, sampling};
        const Option in = option(Kind::call, 0.01, 0.1);
        const Estimate deep = estimate(in, simulation);
        EXPECT(deep.error > 0.0, show(deep.error));
        EXPECT(std::fabs(deep.price - black_scholes(in)) < 4.5 * deep.error, show(deep.price));
        const Estimate out = estimate(option(Kind::call, 1e6, 0.1), simulation);
        EXPECT(out.price == 0.0 && out.error == 0.0, show(out.price));
        // Far beyond any market: no overflow, no NaN.
        const Estimate wild = estimate(option(Kind::put, 100.0, 5.0, 50.0), simulation);
        EXPECT(std::isfinite(wild.price) && std::isfinite(wild.error), show(wild.price));
        EXPECT(wild.price > 0.0 && wild.price <= 100.0, show(wild.price));
    }
}

// The errors that many seeds make are as large as each seed says.
void standard_errors_are_honest() {
    constexpr int seeds = 400;
    for (const Sampling sampling : both_samplings) {
        for (const Kind kind : {Kind::call, Kind::put}) {
            const Option o = option(kind, 100.0, 0.3);
            const double exact = black_scholes(o);
            double squares = 0;
            for (std::uint64_t seed = 0; seed < seeds; ++seed) {
                const Estimate got = estimate(o, {seed, 4096, sampling});
                squares += std::pow((got.price - exact) / got.error, 2);
            }
            const double apart = (squares - seeds) / std::sqrt(2.0 * seeds);
            EXPECT(std::fabs(apart) < 4.5, show(apart));
        }
    }
    const Option o = option(Kind::put, 100.0, 0.2);
    const double plain = estimate(o, {1, 100'000, Sampling::plain}).error;
    const double antithetic = estimate(o, {1, 100'000, Sampling::antithetic}).error;
    EXPECT(antithetic < plain, show(antithetic / plain));
}

void blocks_sum_just_their_samples() {
    for (const Sampling sampling : both_samplings) {
        for (const std::uint64_t count : {1, 7, 8, 9, 1023, 1024, 1025, 3000}) {
            const Simulation simulation{9, sampling == Sampling::plain ? count : 2 * count,
                                        sampling};
            const Option o = option(Kind::put, 105.0);
            const Payoff payoff = payoff_of(o);
            double sum = 0, squares = 0;
            std::vector<double> z(group_size);
            for (std::uint64_t i = 0; i < count; ++i) {
                normals_of_group(9, i / group_size, z.data());
                const auto pays = [&](double normal) {
                    return std::max(
                        payoff.strike - payoff.scale * std::exp(payoff.spread * normal), 0.0);
                };
                const double at = z[i % group_size];
                const double sample =
                    sampling == Sampling::plain ? pays(at) : (pays(at) + pays(-at)) / 2;
                sum += sample - certain_value(payoff);
                squares += std::pow(sample - certain_value(payoff), 2);
            }
            const BlockSums got = simulate_block(simulation, {payoff}, 0)[0];
            EXPECT(std::fabs(got.sum - sum) < 1e-11 * squares, std::to_string(count));
            EXPECT(std::fabs(got.sum_of_squares - squares) < 1e-11 * squares,
                   std::to_string(count));
        }
    }
}

void a_block_is_the_same_in_any_company() {
    const Payoff call = payoff_of(option(Kind::call, 95.0));
    const Payoff put = payoff_of(option(Kind::put, 120.0));
    const Simulation small{4, 2 * block_size, Sampling::plain};
    const Simulation large{4, 40 * block_size + 17, Sampling::plain};
    const double alone = simulate_block(small, {call}, 1)[0].sum;
    EXPECT(simulate_block(large, {put, call}, 1)[1].sum == alone, show(alone));
    EXPECT(simulate_block(large, {call}, 0)[0].sum != alone, "another block");
    EXPECT(blocks(large) == 41, std::to_string(blocks(large)));
    EXPECT(samples_in_block(large, 40) == 17, std::to_string(samples_in_block(large, 40)));
}

void slices_share_the_blocks_out() {
    for (const std::uint64_t paths : {1u, 1u << 20, (1u << 22) + 1, 100u << 20}) {
        for (const std::uint64_t slices : {1, 2, 7, 64, 1000}) {
            Arguments arguments;
            arguments.simulation = {0, paths, Sampling::plain};
            arguments.slices = slices;
            std::uint64_t next = 0, least = paths, most = 0;
            for (arguments.slice = 0; arguments.slice < slices; ++arguments.slice) {
                const BlockRange range = blocks_of_slice(arguments);
                EXPECT(range.first == next && range.end >= range.first, std::to_string(slices));
                next = range.end;
                least = std::min(least, range.end - range.first);
                most = std::max(most, range.end - range.first);
            }
            EXPECT(next == blocks(arguments.simulation), std::to_string(slices));
            EXPECT(most - least <= 1, std::to_string(slices));
        }
    }
}

void numbers_are_read_strictly() {
    for (const char* good : {"0", "1", "-1", "+1", "1.", ".5", "1e3", "1E-3", "-0.25e+2"}) {
        const auto value = parse_decimal(good);
        EXPECT(value && *value == std::strtod(good, nullptr), good);
    }
    for (const char* bad : {"", " 1", "1 ", ".", "e5", "1e", "1e+", "0x10", "inf", "nan", "1,5",
                            "1e999", "--1", "1_000", "1d"}) {
        EXPECT(!parse_decimal(bad), bad);
    }
    EXPECT(!parse_decimal(std::string("1\0", 2)), "NUL");
    EXPECT(parse_natural("18446744073709551615") == std::numeric_limits<std::uint64_t>::max(), "");
    for (const char* bad : {"", "-1", "+1", "1.0", "18446744073709551616", "99999999999999999999"}) {
        EXPECT(!parse_natural(bad), bad);
    }
    for (const double value : {0.1, 1.0 / 3.0, 1e-300, 123456789.123456789, -0.0}) {
        EXPECT(std::strtod(shortest(value).c_str(), nullptr) == value, shortest(value));
    }
    EXPECT(shortest(0.1) == "0.1", shortest(0.1));
    EXPECT(quoted("a\n\"b\x1b") == "\"a\\x0a\\x22b\\x1b\"", quoted("a\n\"b\x1b"));
}

std::string findings_of(const std::string& text) {
    try {
        parse_portfolio(text, "p.csv");
        return "";
    } catch (const BadInput& error) {
        return error.what();
    }
}

void portfolios_are_read_strictly() {
    const std::string header = portfolio_columns() + "\n";
    const Portfolio good = parse_portfolio(
        "\xEF\xBB\xBFkind,id,spot,strike,rate,dividend_yield,volatility,expiry_years\r\n"
        "put,a,1,2,-0.01,0.04,0.5,6\r\n\r\ncall,b,1,2,0,0,0,0",
        "p.csv");
    EXPECT(good.options.size() == 2, std::to_string(good.options.size()));
    EXPECT(good.options[0].kind == Kind::put && good.options[0].dividend_yield == 0.04, "a");
    EXPECT(good.options[1].kind == Kind::call && good.options[1].id == "b", "b");
    EXPECT(parse_portfolio(header + "123456789,put,1,1,0,0,0,0", "").checksum != 0, "");
    const struct {
        std::string text;
        const char* finding;
    } cases[] = {
        {"", "column id is missing"},
        {"id,kind,spot,strike,rate,dividend_yield,volatility\n", "expiry_years is missing"},
        {portfolio_columns() + ",colour\n", "unknown column \"colour\""},
        {portfolio_columns() + ",id\n", "column id is there twice"},
        {header, "no options"},
        {header + "a,call,1,1,0,0,0\n", "p.csv:2: 7 fields where the header has 8"},
        {header + "\"a,b\",call,1,1,0,0,0,1\n", "p.csv:2: 9 fields"},
        {header + "a b,call,1,1,0,0,0,1\n", "id: \"a b\""},
        {header + "a,straddle,1,1,0,0,0,1\n", "kind: \"straddle\" must be call or put"},
        {header + "a,call,0,1,0,0,0,1\n", "spot: 0 must be above 0"},
        {header + "a,call,1,-1,0,0,0,1\n", "strike: -1 must be above 0"},
        {header + "a,call,1,1,0,0,-0.1,1\n", "volatility: -0.1 must be at least 0"},
        {header + "a,call,1,1,0,0,20,1\n", "and at most 5"},
        {header + "a,call,1,1,0,0,0.1,nan\n", "expiry_years: \"nan\" is not a decimal number"},
        {header + "a,call,1,1,0,0,0,1\na,put,1,1,0,0,0,1\n", "p.csv:3: id: a is already on line 2"},
    };
    for (const auto& c : cases) {
        EXPECT(findings_of(c.text).find(c.finding) != std::string::npos, findings_of(c.text));
    }
    const std::string all = findings_of(header + "a,call,x,y,0,0,0,1\nb,fall,1,1,0,0,0,1\n");
    EXPECT(std::count(all.begin(), all.end(), '\n') == 2, all);
}

}  // namespace

int main() {
    philox_gives_the_published_answers();
    elementary_functions_are_as_good_as_libm();
    normals_are_normal();
    normals_depend_on_seed_and_position_alone();
    prices_are_within_their_errors_of_the_closed_form();
    puts_and_calls_keep_parity_path_by_path();
    without_volatility_or_time_a_price_is_certain();
    deep_in_and_out_of_the_money_hold();
    standard_errors_are_honest();
    blocks_sum_just_their_samples();
    a_block_is_the_same_in_any_company();
    slices_share_the_blocks_out();
    numbers_are_read_strictly();
    portfolios_are_read_strictly();
    std::printf("%d expectations, %d broken\n", expectations, broken);
    return broken == 0 ? 0 : 1;
}
