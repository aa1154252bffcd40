// What the program writes for people: messages, aligned tables, numbers with units, a progress bar on terminals.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "vitrail/error.hpp"

namespace vitrail::cli {

constexpr int kSuccess = 0, kFailure = 1, kUsage = 2;  ///< exit codes

/// Text without the control characters that terminals obey: files, and names in them, can hold some.
std::string printable(std::string_view text);

/// Writes "vitrail: message" to stderr.
void report(const Error& error);
void report(std::string_view message);

/// Where to say that these files were written: stdout, or stderr where one of them may be stdout itself.
std::FILE* status_stream(std::initializer_list<std::string> written);

/// One line of JSON on stdout, flushed so that a reader on a pipe sees it now. Text that is not UTF-8 is replaced.
void print_json(const nlohmann::ordered_json& object);

/// JSON text on one line; text that is not UTF-8 is replaced.
std::string json_text(const nlohmann::ordered_json& value);

/// `value` rounded to `digits` decimals, so that JSON shows 0.36 and not 0.36000001430511475.
double rounded(double value, int digits);

std::string decimal(double value, int digits);  ///< "23.10"
std::string grouped(std::uint64_t value);       ///< "86 567 656"
std::string bytes_text(std::uint64_t bytes);    ///< "88.2 MB"

/// Columns UTF-8 text takes on a terminal, counting one per code point.
std::size_t columns_of(std::string_view text);
/// At most `columns` wide; what is cut off becomes "…".
std::string shortened(std::string_view text, std::size_t columns);
/// A horizontal bar of block characters, `fraction` of `columns` wide to an eighth of a column.
std::string bar(double fraction, int columns);

/// Rows of text in columns that line up.
class Table {
 public:
  enum class Align { left, right };
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// To stdout, `indent` blanks before each row.
  void print(int indent = 0) const;

 private:
  std::vector<Align> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// A bar on stderr that shows how far a long task is; nothing at all when stderr is not a terminal.
class Progress {
 public:
  explicit Progress(std::string task);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// `note` stands at the end of the line, e.g. "3/12".
  void update(double fraction, std::string_view note);
  /// Takes the bar off the screen, so that something else can be written; the next update() draws it again.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string task_;
  Clock::time_point start_ = Clock::now(), drawn_ = {};
  bool enabled_ = false, visible_ = false;
};

}  // namespace vitrail::cli
