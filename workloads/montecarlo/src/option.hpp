// A European option and what its simulation needs of it.
#pragma once

#include <cstdint>
#include <string>

namespace montecarlo {

enum class Kind { call, put };

// Rates and volatility are a year's, continuously compounded: 0.05 is 5 %.
struct Option {
    std::string id;
    Kind kind;
    double spot;
    double strike;
    double rate;
    double dividend_yield;
    double volatility;
    double expiry_years;
};

// The payoff as a function of a standard normal z, in money of today:
//     max(sign * (scale * exp(spread * z) - strike), 0)
struct Payoff {
    double sign;    // +1 a call, -1 a put
    double scale;   // today's value of the price's median at expiry
    double spread;  // volatility * sqrt(expiry)
    double strike;  // discounted
};

Payoff payoff_of(const Option& option);

// The payoff at z if there were no volatility. Deviations from it are what is summed, so
// that a variance is no small difference of two large numbers: without volatility it is
// exactly zero.
double certain_value(const Payoff& payoff);

}  // namespace montecarlo
