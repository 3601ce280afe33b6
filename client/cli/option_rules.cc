#include "client/cli/option_rules.h"

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "text/characters.h"

namespace calserve::cli {

bool IsUtf8(const std::string& text) { return FirstInvalidUtf8(text) == std::string::npos; }

CLI::Validator Utf8() {
  return CLI::Validator(
      [](std::string& text) {
        return IsUtf8(text) ? "" : absl::StrCat("must be valid UTF-8; was \"", absl::CHexEscape(text), "\"");
      },
      "", "Utf8");
}

CLI::Validator Name() {
  return CLI::Validator(
      [](std::string& text) {
        if (text.empty()) return std::string("must not be empty; leave the option out for its default");
        return Utf8()(text);
      },
      "", "Name");
}

CLI::Validator InputFile() {
  return CLI::Validator([](std::string& text) { return text.empty() ? "must name a file; was empty" : ""; },
                        "", "InputFile");
}

CLI::Validator OutputFile() {
  return CLI::Validator(
      [](std::string& text) {
        if (text == "-") return "must name a file; standard output has what the command prints";
        return text.empty() ? "must name a file; was empty" : "";
      },
      "", "OutputFile");
}

CLI::Validator NumberWithin(double least, double most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        double number = 0;
        if (absl::SimpleAtod(text, &number) && number >= least && number <= most) return std::string();
        return absl::StrCat("must be a number from ", least, " to ", most, "; was ", text);
      },
      "", "NumberWithin");
}

CLI::Validator WholeNumber(int64_t least, int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        int64_t number;
        if (absl::SimpleAtoi(text, &number) && number >= least && number <= most) return std::string();
        const bool bounded = most < std::numeric_limits<int64_t>::max();
        return absl::StrCat("must be a whole number, ", least,
                            bounded ? absl::StrCat(" to ", most) : " or more", "; was ", text);
      },
      "", "WholeNumber");
}

CLI::Validator Share(Upto upto) {
  return CLI::Validator(
      [upto](std::string& text) {
        double number = 0;
        const bool below = absl::SimpleAtod(text, &number) && number > 0 && number < 1;
        if (below || (upto == Upto::kOne && number == 1)) return std::string();
        return absl::StrCat("must be in (0, 1", upto == Upto::kOne ? "]" : ")", "; was ", text);
      },
      "", "Share");
}

}  // namespace calserve::cli
