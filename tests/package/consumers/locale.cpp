// SPDX-License-Identifier: MIT

/// @file
/// The program of a user whose global locale groups digits and writes a comma for the point: what
/// the library writes and reads does not change.

#include <clocale>
#include <cstdio>
#include <filesystem>
#include <locale>
#include <string>

#include "anyssr/backbone/text_hashing.hpp"
#include "anyssr/core/text.hpp"
#include "anyssr/io/audit_line.hpp"
#include "anyssr/io/guarded_json.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "anyssr/metrics/inspector_report.hpp"

namespace {

struct Grouped : std::numpunct<char> {
  [[nodiscard]] char do_thousands_sep() const override { return '.'; }
  [[nodiscard]] char do_decimal_point() const override { return ','; }
  [[nodiscard]] std::string do_grouping() const override { return "\3"; }
};

int failures = 0;

void same(const std::string& found, const std::string& expected) {
  if (found == expected) return;
  std::printf("found '%s', expected '%s'\n", found.c_str(), expected.c_str());
  ++failures;
}

/// What a program writes: names, messages, JSON, a log, a report, a file's header.
std::string everything(const std::filesystem::path& folder) {
  std::string text = anyssr::TextHashingBackbone<float>({.dim = 65536}).fingerprint();
  try {
    const anyssr::TextHashingBackbone<float> refused({.dim = -65536});
  } catch (const anyssr::Error& error) {
    text += std::string("\n") + error.what();
  }
  text += "\n" + anyssr::number_text(1234.5, 6) + " " + anyssr::fixed_text(1234567.125) + " " +
          anyssr::bytes_text(1.25e18);
  text += "\n" + anyssr::parse_json(R"({"n": 1234567, "x": 1234.5, "e": 1e-7})", "t").dump();
  anyssr::detail::append_json_number(text, 1234567.125);
  anyssr::InspectorReport report;
  report.learned_rows = 1234567;
  report.windows.push_back({.begin = 1700000000, .end = 1700003600, .rows = 12345});
  text += "\n" + to_text(report);
  anyssr::SafetensorsWriter writer;
  const anyssr::RowMajorMatrix<float> x = anyssr::RowMajorMatrix<float>::Constant(1, 2345, 1.5F);
  writer.add("x", x);
  writer.write(folder / "x.safetensors");
  const anyssr::SafetensorsReader reader(folder / "x.safetensors");
  text += "\n" + std::to_string(reader.matrix<float>("x").cols());
  return text;
}

}  // namespace

int main(int, char** argv) {
  const std::filesystem::path folder = argv[1];
  const std::string expected = everything(folder);
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"}) {
    if (std::setlocale(LC_ALL, name) != nullptr) same(everything(folder), expected);
  }
  std::locale::global(std::locale(std::locale::classic(), new Grouped));
  same(everything(folder), expected);
  if (expected.find("dim=65536") == std::string::npos) same(expected, "dim=65536");
  if (failures == 0) std::printf("the same under every locale\n");
  return failures == 0 ? 0 : 1;
}
