#include "client/cli/svg.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/cli/printable.h"

namespace calserve::cli {
namespace {

constexpr char kLight[] =
    "--paper: #ffffff; --ink: #1f2328; --muted: #57606a; --grid: #d8dee4; --accuracy: #2f6db5; "
    "--gap: #c2410c;";
constexpr char kDark[] =
    "--paper: #0d1117; --ink: #e6edf3; --muted: #9aa4af; --grid: #30363d; --accuracy: #6cb2ff; "
    "--gap: #ff9b6a;";

constexpr char kClasses[] =
    "svg { background: var(--paper); }\n"
    "svg text { font-family: system-ui, sans-serif; }\n"
    ".ink { fill: var(--ink); } .muted { fill: var(--muted); } .paper { fill: var(--paper); }\n"
    ".accuracy, .right { fill: var(--accuracy); } .gap, .wrong { fill: var(--gap); }\n"
    ".gap { fill-opacity: .5; } .rows { fill: var(--muted); fill-opacity: .7; }\n"
    ".grid { stroke: var(--grid); } .axis { stroke: var(--muted); }\n"
    ".ideal { stroke: var(--ink); stroke-dasharray: 4 3; }\n"
    ".whisker { stroke: var(--ink); stroke-width: 1.3; } .claim { stroke: var(--gap); stroke-width: 2; }\n";

bool InsideCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

// Attributes that two decimals suffice for.
std::string Number(double value) {
  std::string text = absl::StrFormat("%.2f", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

}  // namespace

std::string EscapeXml(absl::string_view text) {
  // XML allows no control characters at all.
  return absl::StrReplaceAll(
      Printable(text), {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string KeepStart(absl::string_view text, size_t characters) {
  if (text.size() <= characters) return std::string(text);
  size_t end = characters - 1;
  while (end > 0 && InsideCharacter(text[end])) --end;
  return absl::StrCat(text.substr(0, end), "…");
}

std::string KeepEnd(absl::string_view text, size_t characters) {
  if (text.size() <= characters) return std::string(text);
  size_t begin = text.size() - characters + 1;
  while (begin < text.size() && InsideCharacter(text[begin])) ++begin;
  return absl::StrCat("…", text.substr(begin));
}

std::string ChartStyle(absl::string_view root) {
  return absl::StrCat(root, " { color-scheme: light dark; ", kLight, " }\n",
                      "@media (prefers-color-scheme: dark) { ", root, " { ", kDark, " } }\n",
                      "@media print { ", root, " { color-scheme: light; ", kLight, " } }\n", kClasses);
}

Svg::Svg(double width, double height, absl::string_view title, absl::string_view description)
    : head_(absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"", Number(width),
                         "\" height=\"", Number(height), "\" viewBox=\"0 0 ", Number(width), " ",
                         Number(height), "\">\n<title>", EscapeXml(title), "</title>\n<desc>",
                         EscapeXml(description), "</desc>\n")) {
  Rect(0, 0, width, height, "paper");
}

void Svg::Text(double x, double y, const char* anchor, int size, absl::string_view text,
               const char* css_class) {
  absl::StrAppend(&body_, "<text x=\"", Number(x), "\" y=\"", Number(y), "\" text-anchor=\"", anchor,
                  "\" font-size=\"", size, "\" class=\"", css_class, "\">", EscapeXml(text), "</text>\n");
}

void Svg::VerticalText(double x, double y, const char* anchor, int size, absl::string_view text,
                       const char* css_class) {
  absl::StrAppend(&body_, "<text transform=\"translate(", Number(x), " ", Number(y),
                  ") rotate(-90)\" text-anchor=\"", anchor, "\" font-size=\"", size, "\" class=\"", css_class,
                  "\">", EscapeXml(text), "</text>\n");
}

void Svg::Rect(double x, double y, double width, double height, const char* css_class) {
  absl::StrAppend(&body_, "<rect x=\"", Number(x), "\" y=\"", Number(y), "\" width=\"",
                  Number(std::max(width, 0.0)), "\" height=\"", Number(std::max(height, 0.0)), "\" class=\"",
                  css_class, "\"/>\n");
}

void Svg::Line(double x1, double y1, double x2, double y2, const char* css_class) {
  absl::StrAppend(&body_, "<line x1=\"", Number(x1), "\" y1=\"", Number(y1), "\" x2=\"", Number(x2),
                  "\" y2=\"", Number(y2), "\" class=\"", css_class, "\"/>\n");
}

void Svg::Circle(double x, double y, double radius, const char* css_class) {
  absl::StrAppend(&body_, "<circle cx=\"", Number(x), "\" cy=\"", Number(y), "\" r=\"", Number(radius),
                  "\" class=\"", css_class, "\"/>\n");
}

void Svg::BeginGroup(absl::string_view tooltip) {
  absl::StrAppend(&body_, "<g><title>", EscapeXml(tooltip), "</title>\n");
}

void Svg::EndGroup() { absl::StrAppend(&body_, "</g>\n"); }

std::string Svg::Inline() const { return absl::StrCat(head_, body_, "</svg>\n"); }

std::string Svg::Standalone() const {
  return absl::StrCat(head_, "<style>\n", ChartStyle("svg"), "</style>\n", body_, "</svg>\n");
}

}  // namespace calserve::cli
