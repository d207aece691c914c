// The portfolio: a CSV file with one option a row.
//
// Not a general CSV reader: identifiers and numbers need no quotes, so a quote is refused
// rather than half understood.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "option.hpp"

namespace montecarlo {

struct Portfolio {
    std::vector<Option> options;  // in the file's order, ids distinct
    std::uint32_t checksum;       // CRC-32 of the file's bytes, as zlib computes it
};

// Reads the text of a portfolio; `name` stands before each finding.
// Throws BadInput with every finding.
Portfolio parse_portfolio(const std::string& text, const std::string& name);

// The names of the columns, which may stand in any order.
std::string portfolio_columns();

}  // namespace montecarlo
