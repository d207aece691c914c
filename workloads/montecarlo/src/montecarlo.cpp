// A slice of a Monte Carlo simulation of European options: `montecarlo --help`.
//
// The program sums payoffs and does no statistics: prices and standard errors need all
// slices and are `merge.py`'s, their comparison with the closed form is `check.py`'s.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "arguments.hpp"
#include "findings.hpp"
#include "numbers.hpp"
#include "portfolio.hpp"
#include "simulation.hpp"

namespace montecarlo {
namespace {

class FileError : public std::runtime_error {
public:
    FileError(const std::string& what, const std::string& path)
        : std::runtime_error(what + " " + path + ": " + std::strerror(errno)) {}
};

std::string read_file(const std::string& path) {
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    // A directory opens, and only reading it fails; an empty file inserts nothing.
    if (!stream || (stream.peek() == std::ifstream::traits_type::eof() && errno != 0)) {
        throw FileError("cannot read", path);
    }
    stream.clear();
    text << stream.rdbuf();
    if (stream.bad()) {
        throw FileError("cannot read", path);
    }
    return text.str();
}

void write_sums(std::ostream& out, const Arguments& arguments, const Portfolio& portfolio) {
    const Simulation& simulation = arguments.simulation;
    std::vector<Payoff> payoffs;
    for (const Option& option : portfolio.options) {
        payoffs.push_back(payoff_of(option));
    }
    char checksum[16];
    std::snprintf(checksum, sizeof checksum, "%08lx",
                  static_cast<unsigned long>(portfolio.checksum));
    const std::string run = std::to_string(simulation.seed) + "," +
                            std::to_string(simulation.paths) + "," +
                            (simulation.sampling == Sampling::plain ? "plain" : "antithetic") +
                            "," + checksum;
    out << "seed,paths,sampling,portfolio,block,blocks,samples,id,certain_value,sum,"
           "sum_of_squares\n";
    const BlockRange range = blocks_of_slice(arguments);
    for (std::uint64_t block = range.first; block < range.end; ++block) {
        const std::vector<BlockSums> sums = simulate_block(simulation, payoffs, block);
        for (std::size_t i = 0; i < payoffs.size(); ++i) {
            out << run << ',' << block << ',' << blocks(simulation) << ','
                << samples_in_block(simulation, block) << ',' << portfolio.options[i].id << ','
                << shortest(certain_value(payoffs[i])) << ',' << shortest(sums[i].sum) << ','
                << shortest(sums[i].sum_of_squares) << '\n';
        }
    }
}

// Leaves either the complete file or none.
void write_file(const Arguments& arguments, const Portfolio& portfolio) {
    const std::string unfinished = arguments.output + ".unfinished";
    errno = 0;
    std::ofstream stream(unfinished, std::ios::binary);
    if (!stream) {
        throw FileError("cannot write", arguments.output);
    }
    write_sums(stream, arguments, portfolio);
    stream.close();
    if (!stream || std::rename(unfinished.c_str(), arguments.output.c_str()) != 0) {
        const FileError error("cannot write", arguments.output);
        std::remove(unfinished.c_str());
        throw error;
    }
}

int run(const std::vector<std::string>& words) {
    const Arguments arguments = parse_arguments(words);
    if (arguments.help) {
        std::cout << help_text();
        return 0;
    }
    const Portfolio portfolio =
        parse_portfolio(read_file(arguments.portfolio), arguments.portfolio);
    if (!arguments.output.empty()) {
        write_file(arguments, portfolio);
        return 0;
    }
    errno = 0;
    write_sums(std::cout, arguments, portfolio);
    std::cout.flush();
    if (!std::cout) {
        throw FileError("cannot write", "standard output");
    }
    return 0;
}

}  // namespace
}  // namespace montecarlo

int main(int argc, char** argv) {
    try {
        return montecarlo::run({argv + 1, argv + argc});
    } catch (const montecarlo::BadInput& error) {
        std::istringstream findings(error.what());
        for (std::string line; std::getline(findings, line);) {
            std::cerr << "montecarlo: " << line << '\n';
        }
        return 2;
    } catch (const std::exception& error) {
        std::cerr << "montecarlo: " << error.what() << '\n';
        return 1;
    }
}
