#ifndef CALSERVE_CLIENT_CLI_SVG_H_
#define CALSERVE_CLIENT_CLI_SVG_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace calserve::cli {

// Text that may stand in XML or HTML content and quoted attributes.
std::string EscapeXml(absl::string_view text);

// At most so many characters (bytes, but never a part of one) of a longer text, and "…" for what is left out
// at its end or at its beginning.
std::string KeepStart(absl::string_view text, size_t characters);
std::string KeepEnd(absl::string_view text, size_t characters);

// The colours and line styles that Svg's classes name, as CSS: custom properties on `root` (":root", "svg"),
// for light, for dark (prefers-color-scheme) and, always light, for print. Text has a contrast of at least
// 4.5 to the ground, marks of at least 3.
std::string ChartStyle(absl::string_view root);

// One SVG element without scripts or links, drawn in user units; well-formed XML whatever text it is given. A
// title and a description say what it shows to those who cannot see it. Its marks have classes of ChartStyle:
//   ink, muted                    text
//   grid, axis, ideal, whisker, claim   lines
//   accuracy, gap, rows, right, wrong, paper   areas
// Written by hand: Debian 12 has no C++ library that draws static charts as SVG without bringing a GUI
// toolkit.
class Svg {
 public:
  Svg(double width, double height, absl::string_view title, absl::string_view description);

  // `anchor`: "start", "middle" or "end".
  void Text(double x, double y, const char* anchor, int size, absl::string_view text,
            const char* css_class = "ink");
  // Reading upwards from (x, y).
  void VerticalText(double x, double y, const char* anchor, int size, absl::string_view text,
                    const char* css_class = "ink");
  void Rect(double x, double y, double width, double height, const char* css_class);
  void Line(double x1, double y1, double x2, double y2, const char* css_class);
  void Circle(double x, double y, double radius, const char* css_class);
  // What is drawn until EndGroup shows `tooltip` under the pointer.
  void BeginGroup(absl::string_view tooltip);
  void EndGroup();

  // For a page that has ChartStyle.
  std::string Inline() const;
  // With a style of its own: a file.
  std::string Standalone() const;

 private:
  std::string head_, body_;
};

}  // namespace calserve::cli

#endif  // CALSERVE_CLIENT_CLI_SVG_H_
