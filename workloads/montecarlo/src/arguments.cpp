#include "arguments.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include "findings.hpp"
#include "numbers.hpp"
#include "portfolio.hpp"

namespace montecarlo {
namespace {

// A block has at most 2^21 paths and its number is written as decimal digits; beyond this
// many paths the standard error is below what doubles resolve anyway.
constexpr std::uint64_t most_paths = std::uint64_t{1} << 50;
constexpr std::uint64_t most_slices = 1'000'000;

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& arguments) {
    Arguments result;
    std::vector<std::string> findings;
    std::map<std::string, std::string> given;
    const std::map<std::string, std::function<void(const std::string&)>> options{
        {"--portfolio", [&](const std::string& value) { result.portfolio = value; }},
        {"--output", [&](const std::string& value) { result.output = value; }},
        {"--seed",
         [&](const std::string& value) {
             if (const auto seed = parse_natural(value)) {
                 result.simulation.seed = *seed;
             } else {
                 findings.push_back("--seed: " + quoted(value) +
                                    " is not a whole number from 0 to 2^64 - 1");
             }
         }},
        {"--paths",
         [&](const std::string& value) {
             if (const auto paths = parse_natural(value);
                 paths && *paths >= 1 && *paths <= most_paths) {
                 result.simulation.paths = *paths;
             } else {
                 findings.push_back("--paths: " + quoted(value) +
                                    " is not a whole number from 1 to 2^50");
             }
         }},
        {"--sampling",
         [&](const std::string& value) {
             if (value == "plain" || value == "antithetic") {
                 result.simulation.sampling =
                     value == "plain" ? Sampling::plain : Sampling::antithetic;
             } else {
                 findings.push_back("--sampling: " + quoted(value) +
                                    " is neither antithetic nor plain");
             }
         }},
        {"--slice",
         [&](const std::string& value) {
             const std::size_t bar = value.find('/');
             const auto slice = parse_natural(value.substr(0, bar));
             const auto slices = bar == std::string::npos ? std::nullopt
                                                          : parse_natural(value.substr(bar + 1));
             if (slice && slices && *slice < *slices && *slices <= most_slices) {
                 result.slice = *slice;
                 result.slices = *slices;
             } else {
                 findings.push_back("--slice: " + quoted(value) +
                                    " is not INDEX/COUNT with 0 <= INDEX < COUNT <= 1000000");
             }
         }},
    };
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "-h" || argument == "--help") {
            result.help = true;
            return result;
        }
        const std::size_t equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        const auto option = options.find(name);
        if (option == options.end()) {
            findings.push_back(quoted(name) + " is no option of this program (see --help)");
            continue;
        }
        std::string value;
        if (equals != std::string::npos) {
            value = argument.substr(equals + 1);
        } else if (i + 1 < arguments.size() && options.count(arguments[i + 1]) == 0) {
            value = arguments[++i];
        } else {
            findings.push_back(name + ": its value is missing");
            given.emplace(name, "");
            continue;
        }
        if (!given.emplace(name, value).second) {
            findings.push_back(name + ": given twice");
        } else if (value.empty()) {
            findings.push_back(name + ": is empty");
        } else {
            option->second(value);
        }
    }
    for (const char* required : {"--portfolio", "--paths", "--seed"}) {
        if (given.count(required) == 0) {
            findings.push_back(std::string(required) + ": is missing (see --help)");
        }
    }
    if (result.simulation.sampling == Sampling::antithetic && result.simulation.paths % 2 != 0) {
        findings.push_back("--paths: antithetic paths come in pairs, so their number is even (" +
                           std::to_string(result.simulation.paths) + " is odd)");
    }
    if (!findings.empty()) {
        throw BadInput(findings);
    }
    return result;
}

BlockRange blocks_of_slice(const Arguments& arguments) {
    const std::uint64_t count = blocks(arguments.simulation);
    const std::uint64_t each = count / arguments.slices;
    const std::uint64_t longer = count % arguments.slices;  // the first ones have one more
    const auto start = [&](std::uint64_t slice) {
        return slice * each + std::min(slice, longer);
    };
    return {start(arguments.slice), start(arguments.slice + 1)};
}

std::string help_text() {
    return R"(Prices European options by Monte Carlo: the sums over one slice of the paths.

Usage: montecarlo --portfolio FILE --paths N --seed N [--slice INDEX/COUNT]
                  [--sampling antithetic|plain] [--output FILE]

  --portfolio FILE    CSV with the columns, in any order,
        )" + portfolio_columns() +
           R"(
                      kind is call or put; rates and volatility are a year's,
                      continuously compounded (0.05 is 5 %)
  --paths N           paths of the whole simulation, all slices together
  --seed N            which random numbers; 0 to 2^64 - 1
  --slice INDEX/COUNT which part of the paths to simulate: 0/16 is the first of
                      sixteen; 0/1, everything, if not given
  --sampling MODE     antithetic (the default): each normal z is used as z and
                      as -z, which makes two paths; plain: as z alone
  --output FILE       where the sums go, written under another name first and
                      renamed when complete; to standard output if not given
  -h, --help          this text

The output is a CSV with a row for each block of paths and option; merge.py adds
the rows of all slices up to prices and standard errors. They are the same, bit
for bit, for any number of slices.

Exit status: 0 done; 1 a file cannot be read or written; 2 the arguments or the
portfolio are wrong (every finding is printed).

Example: montecarlo --portfolio portfolio.csv --paths 1000000 --seed 42
)";
}

}  // namespace montecarlo
