#include "option.hpp"

#include <algorithm>
#include <cmath>

#include "elementary.hpp"

namespace montecarlo {

Payoff payoff_of(const Option& option) {
    const double variance = option.volatility * option.volatility * option.expiry_years;
    Payoff payoff{};
    payoff.sign = option.kind == Kind::call ? 1.0 : -1.0;
    payoff.scale = option.spot * exponential(-option.dividend_yield * option.expiry_years) *
                   exponential(-0.5 * variance);
    payoff.spread = std::sqrt(variance);
    payoff.strike = option.strike * exponential(-option.rate * option.expiry_years);
    return payoff;
}

double certain_value(const Payoff& payoff) {
    const double forward = payoff.scale * exponential(0.5 * payoff.spread * payoff.spread);
    return std::max(payoff.sign * (forward - payoff.strike), 0.0);
}

}  // namespace montecarlo
