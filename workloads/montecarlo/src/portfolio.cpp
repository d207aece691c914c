#include "portfolio.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>

#include "findings.hpp"
#include "numbers.hpp"

namespace montecarlo {
namespace {

constexpr std::size_t most_options = 100'000;
constexpr std::size_t most_findings = 20;

struct NumberColumn {
    const char* name;
    double least;
    double most;
    bool least_included;
    double Option::* member;
};

// The bounds keep every exponent of a simulation within what `exponential` computes: |z|
// is at most 8.5 and volatility * sqrt(expiry) at most 5 * sqrt(50) = 35.4, and so on.
constexpr std::array<NumberColumn, 6> number_columns{{
    {"spot", 0.0, 1e12, false, &Option::spot},
    {"strike", 0.0, 1e12, false, &Option::strike},
    {"rate", -1.0, 1.0, true, &Option::rate},
    {"dividend_yield", -1.0, 1.0, true, &Option::dividend_yield},
    {"volatility", 0.0, 5.0, true, &Option::volatility},
    {"expiry_years", 0.0, 50.0, true, &Option::expiry_years},
}};

std::vector<std::string> column_names() {
    std::vector<std::string> names{"id", "kind"};
    for (const NumberColumn& column : number_columns) {
        names.emplace_back(column.name);
    }
    return names;
}

std::uint32_t crc32(const std::string& bytes) {
    std::uint32_t crc = 0xFFFFFFFFu;
    for (const char c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0u);
        }
    }
    return ~crc;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::size_t start = 0;
    for (std::size_t end = text.find(separator); end != std::string::npos;
         end = text.find(separator, start)) {
        parts.push_back(text.substr(start, end - start));
        start = end + 1;
    }
    parts.push_back(text.substr(start));
    return parts;
}

bool is_identifier(const std::string& text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

// Reads one file; collects findings instead of stopping at the first.
class Reader {
public:
    Reader(const std::string& text, std::string name) : name_(std::move(name)) {
        constexpr const char* byte_order_mark = "\xEF\xBB\xBF";  // spreadsheets write one
        lines_ = split(text.compare(0, 3, byte_order_mark) == 0 ? text.substr(3) : text, '\n');
        for (std::string& line : lines_) {
            if (!line.empty() && line.back() == '\r') {
                line.pop_back();
            }
        }
    }

    std::vector<Option> options() {
        if (read_header()) {
            for (line_ = 1; line_ < lines_.size(); ++line_) {
                read_row(split(lines_[line_], ','));
            }
            if (options_.empty() && findings_.empty()) {
                findings_.push_back(name_ + ": has no options below its header");
            }
        }
        if (findings_.size() > most_findings) {
            const std::size_t more = findings_.size() - most_findings;
            findings_.resize(most_findings);
            findings_.push_back(name_ + ": and " + std::to_string(more) + " more findings");
        }
        if (!findings_.empty()) {
            throw BadInput(findings_);
        }
        return options_;
    }

private:
    bool read_header() {
        const std::vector<std::string> names = column_names();
        const std::vector<std::string> header = split(lines_[0], ',');
        for (std::size_t i = 0; i < header.size(); ++i) {
            if (std::find(names.begin(), names.end(), header[i]) == names.end()) {
                find("unknown column " + quoted(header[i]) + "; the columns are " +
                     portfolio_columns());
            } else if (!column_.emplace(header[i], i).second) {
                find("column " + header[i] + " is there twice");
            }
        }
        for (const std::string& column : names) {
            if (column_.count(column) == 0) {
                find("column " + column + " is missing");
            }
        }
        return findings_.empty();
    }

    void read_row(const std::vector<std::string>& fields) {
        if (fields.size() == 1 && fields[0].empty()) {
            return;  // an empty line
        }
        if (fields.size() != column_.size()) {
            find(std::to_string(fields.size()) + " fields where the header has " +
                 std::to_string(column_.size()) + " (fields take no quotes or commas)");
            return;
        }
        Option option{};
        const std::size_t before = findings_.size();
        option.id = fields[column_["id"]];
        if (!is_identifier(option.id)) {
            find("id: " + quoted(option.id) + " must be 1 to 64 letters, digits, '.', '_', '-'");
        } else if (const auto [seen, fresh] = first_line_.emplace(option.id, line_ + 1); !fresh) {
            find("id: " + option.id + " is already on line " + std::to_string(seen->second));
        }
        const std::string& kind = fields[column_["kind"]];
        option.kind = kind == "put" ? Kind::put : Kind::call;
        if (kind != "call" && kind != "put") {
            find("kind: " + quoted(kind) + " must be call or put");
        }
        for (const NumberColumn& column : number_columns) {
            read_number(column, fields[column_[column.name]], option);
        }
        if (options_.size() == most_options) {
            find("more than " + std::to_string(most_options) + " options: split the portfolio");
            line_ = lines_.size();
        } else if (findings_.size() == before) {
            options_.push_back(std::move(option));
        }
    }

    void read_number(const NumberColumn& column, const std::string& text, Option& option) {
        const std::optional<double> value = parse_decimal(text);
        if (!value) {
            find(std::string(column.name) + ": " + quoted(text) + " is not a decimal number");
            return;
        }
        const bool above = column.least_included ? *value >= column.least : *value > column.least;
        if (!above || *value > column.most) {
            find(std::string(column.name) + ": " + shortest(*value) + " must be " +
                 (column.least_included ? "at least " : "above ") + shortest(column.least) +
                 " and at most " + shortest(column.most));
            return;
        }
        option.*column.member = *value;
    }

    void find(const std::string& what) {
        findings_.push_back(name_ + ":" + std::to_string(line_ + 1) + ": " + what);
    }

    std::string name_;
    std::vector<std::string> lines_;
    std::size_t line_ = 0;
    std::map<std::string, std::size_t> column_;
    std::map<std::string, std::size_t> first_line_;
    std::vector<Option> options_;
    std::vector<std::string> findings_;
};

}  // namespace

std::string portfolio_columns() {
    std::string text;
    for (const std::string& name : column_names()) {
        text += (text.empty() ? "" : ",") + name;
    }
    return text;
}

Portfolio parse_portfolio(const std::string& text, const std::string& name) {
    return {Reader(text, name).options(), crc32(text)};
}

}  // namespace montecarlo
