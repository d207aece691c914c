#include "numbers.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace montecarlo {

std::optional<double> parse_decimal(const std::string& text) {
    const auto digits_from = [&text](std::size_t start) {
        std::size_t end = start;
        while (end < text.size() && text[end] >= '0' && text[end] <= '9') {
            ++end;
        }
        return end;
    };
    const auto is_sign_at = [&text](std::size_t at) {
        return at < text.size() && (text[at] == '+' || text[at] == '-');
    };
    std::size_t at = is_sign_at(0) ? 1 : 0;
    const std::size_t whole = digits_from(at);
    std::size_t digits = whole - at;
    at = whole;
    if (at < text.size() && text[at] == '.') {
        const std::size_t fraction = digits_from(at + 1);
        digits += fraction - (at + 1);
        at = fraction;
    }
    if (digits == 0) {
        return std::nullopt;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        const std::size_t exponent = is_sign_at(at + 1) ? at + 2 : at + 1;
        at = digits_from(exponent);
        if (at == exponent) {
            return std::nullopt;
        }
    }
    if (at != text.size()) {
        return std::nullopt;
    }
    // The program never calls setlocale: strtod's decimal point is a point.
    const double value = std::strtod(text.c_str(), nullptr);
    return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

std::optional<std::uint64_t> parse_natural(const std::string& text) {
    constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
    if (text.empty()) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (largest - digit) / 10) {
            return std::nullopt;
        }
        value = value * 10 + digit;
    }
    return value;
}

std::string shortest(double value) {
    char text[40];
    for (const int digits : {15, 16, 17}) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::strtod(text, nullptr) == value) {
            break;
        }
    }
    return text;
}

std::string quoted(const std::string& text) {
    constexpr std::size_t shown = 40;
    std::string result = "\"";
    for (const char c : text.substr(0, shown)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F || c == '"' || c == '\\') {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(byte));
            result += escaped;
        } else {
            result += c;
        }
    }
    return result + (text.size() > shown ? "...\"" : "\"");
}

}  // namespace montecarlo
