// What is wrong with a person's input: all of it at once, not the first thing met.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace montecarlo {

// Arguments or a portfolio that cannot be used; one finding a line.
class BadInput : public std::runtime_error {
public:
    explicit BadInput(const std::vector<std::string>& findings)
        : std::runtime_error(joined(findings)) {}

private:
    static std::string joined(const std::vector<std::string>& findings) {
        std::string text;
        for (const std::string& finding : findings) {
            text += (text.empty() ? "" : "\n") + finding;
        }
        return text;
    }
};

}  // namespace montecarlo
