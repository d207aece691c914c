// Numbers as people write them, read strictly and whatever the locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace montecarlo {

// A decimal number such as 1, -0.5 or 1e-3; nothing else of what strtod takes: no blanks,
// no hexadecimal, no inf or nan, nothing too large for a double.
std::optional<double> parse_decimal(const std::string& text);

// A whole number of digits alone, below 2^64.
std::optional<std::uint64_t> parse_natural(const std::string& text);

// The shortest of %.15g, %.16g, %.17g that reads back as the same double.
std::string shortest(double value);

// Text from outside, quoted and with unprintable bytes escaped, cut at 40 bytes.
std::string quoted(const std::string& text);

}  // namespace montecarlo
