#include "calibration_io/csv.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "calibration_io/file.h"

namespace calserve {
namespace {

struct Record {
  int64_t line = 0;
  std::vector<std::string> fields;
};

std::string Place(absl::string_view name, const Record& record) {
  return absl::StrCat(name, ":", record.line, ": ");
}

// Splits one line. A quoted field may hold commas, but no line break.
absl::StatusOr<std::vector<std::string>> SplitFields(absl::string_view line) {
  std::vector<std::string> fields;
  while (true) {
    line = absl::StripLeadingAsciiWhitespace(line);
    std::string field;
    if (absl::ConsumePrefix(&line, "\"")) {
      while (true) {
        const size_t quote = line.find('"');
        if (quote == absl::string_view::npos)
          return absl::InvalidArgumentError("a quoted field is not closed");
        absl::StrAppend(&field, line.substr(0, quote));
        line.remove_prefix(quote + 1);
        if (!absl::ConsumePrefix(&line, "\"")) break;
        field.push_back('"');
      }
      line = absl::StripLeadingAsciiWhitespace(line);
      if (!line.empty() && line[0] != ',') {
        return absl::InvalidArgumentError(
            absl::StrCat("after a quoted field a comma must follow; found '", line, "'"));
      }
    } else {
      const size_t comma = line.find(',');
      field = std::string(absl::StripTrailingAsciiWhitespace(line.substr(0, comma)));
      line.remove_prefix(comma == absl::string_view::npos ? line.size() : comma);
    }
    fields.push_back(std::move(field));
    if (!absl::ConsumePrefix(&line, ",")) return fields;
  }
}

template <typename Number>
bool ParseNumber(const std::string& field, Number* value) {
  const char* const end = field.data() + field.size();
  const auto [stopped, error] = std::from_chars(field.data(), end, *value);
  return error == std::errc() && stopped == end;
}

// Calls visit(record) for every record; `is_header` is asked of the first.
template <typename IsHeader, typename Visit>
absl::Status ForEachRecord(absl::string_view text, absl::string_view name, IsHeader is_header, Visit visit) {
  Record record;
  bool first = true;
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");  // The byte-order mark, which spreadsheets put first.
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++record.line;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    // Each field of a line takes many times its text.
    if (static_cast<int64_t>(line.size()) > kMaxLineBytes) {
      return LargerThan(absl::StrCat("line ", record.line, " of ", name), kMaxLineBytes);
    }
    absl::StatusOr<std::vector<std::string>> fields = SplitFields(absl::StripSuffix(line, "\r"));
    if (!fields.ok())
      return absl::InvalidArgumentError(absl::StrCat(Place(name, record), fields.status().message()));
    record.fields = *std::move(fields);
    if (!std::exchange(first, false) || !is_header(record)) {
      if (absl::Status status = visit(record); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

bool StartsWithoutNumber(const Record& record) {
  double ignored;
  return !ParseNumber(record.fields[0], &ignored);
}

}  // namespace

absl::StatusOr<CsvNumbers> ParseCsvNumbers(absl::string_view text, absl::string_view name) {
  CsvNumbers out;
  const absl::Status status = ForEachRecord(text, name, StartsWithoutNumber, [&](const Record& record) {
    const int columns = static_cast<int>(record.fields.size());
    if (out.columns == 0) {
      out.columns = columns;
      // A digit and a comma become eight bytes.
      constexpr int64_t kMost = kMaxDataFileBytes / static_cast<int64_t>(sizeof(double));
      const int64_t lines = 1 + std::count(text.begin(), text.end(), '\n');
      if (lines > kMost / columns) {
        return LargerThan(absl::StrCat(name, " in memory, ", lines, " lines of ", columns, " float64,"),
                          kMaxDataFileBytes);
      }
      out.values.reserve(static_cast<size_t>(lines * columns));
    }
    if (columns != out.columns) {
      return absl::InvalidArgumentError(absl::StrCat(Place(name, record),
                                                     "every line must have as many fields as the ", "first, ",
                                                     out.columns, "; has ", columns));
    }
    for (const std::string& field : record.fields) {
      double value;
      if (!ParseNumber(field, &value)) {
        return absl::InvalidArgumentError(
            absl::StrCat(Place(name, record), "a number is needed; was '", field, "'"));
      }
      out.values.push_back(value);
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

absl::StatusOr<std::vector<int64_t>> ParseCsvIntegers(absl::string_view text, absl::string_view name) {
  std::vector<int64_t> out;
  const absl::Status status = ForEachRecord(text, name, StartsWithoutNumber, [&](const Record& record) {
    int64_t value;
    if (record.fields.size() != 1 || !ParseNumber(record.fields[0], &value)) {
      return absl::InvalidArgumentError(
          absl::StrCat(Place(name, record), "one integer a line is needed; was '", record.fields[0], "'"));
    }
    out.push_back(value);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

absl::StatusOr<std::vector<LabelledPath>> ParseLabelledPaths(absl::string_view text, absl::string_view name) {
  std::vector<LabelledPath> out;
  // A first line that begins with "path" is a header; one of other columns must not pass for a row.
  bool has_header = false;
  const auto is_header = [&](const Record& record) {
    has_header = record.fields.size() == 2 && absl::EqualsIgnoreCase(record.fields[0], "path") &&
                 absl::EqualsIgnoreCase(record.fields[1], "label");
    return has_header;
  };
  const absl::Status status = ForEachRecord(text, name, is_header, [&](const Record& record) {
    if (record.fields.size() != 2 || record.fields[0].empty() || record.fields[1].empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(Place(name, record), "'path,label' is needed (put a path with commas in quotes); has ",
                       record.fields.size(), " fields, the first '", record.fields[0], "'"));
    }
    if (out.empty() && !has_header && absl::EqualsIgnoreCase(record.fields[0], "path")) {
      return absl::InvalidArgumentError(
          absl::StrCat(Place(name, record), "the header must be path,label; was path,", record.fields[1]));
    }
    out.push_back({record.fields[0], record.fields[1]});
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return out;
}

}  // namespace calserve
