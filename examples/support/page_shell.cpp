// SPDX-License-Identifier: MIT
#include "support/page_shell.hpp"

#include "support/html.hpp"

namespace support {

namespace {

// The colours s1 to s6 are told apart with any colour vision (after Okabe and Ito).
constexpr std::string_view colours = R"(
:root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --ink: #1b2430; --soft: #566274;
  --rule: #dfe3e8; --s1: #0068a8; --s2: #d55e00; --s3: #00845f; --s4: #a8478f; --s5: #94720a;
  --s6: #4aa5dc; --bad: #c83737; --mute: #8e99a6; --on: #fff; }
@media screen and (prefers-color-scheme: dark) { :root { --page: #10151c; --card: #19212b;
  --ink: #e6ebf1; --soft: #a3afbd; --rule: #2f3a47; --s1: #56b4e9; --s2: #f08a3c; --s3: #2fc496;
  --s4: #dd93cb; --s5: #e0c04a; --s6: #3f86bd; --bad: #e97a7a; --mute: #728092; --on: #0c1117; } }
)";

constexpr std::string_view layout = R"(
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0;
  color: var(--ink); background: var(--page); }
main { max-width: 1200px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 0 0 6px; } h3 { font-size: 14px; margin: 0; }
p { margin: 0 0 10px; overflow-wrap: anywhere; } .soft { color: var(--soft); }
.lead { font-size: 17px; max-width: 64em; margin-top: 8px; }
.card > :last-child { margin-bottom: 0; }
.heads { display: grid; grid-template-columns: repeat(3, 1fr); gap: 16px; margin: 20px 0; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
.thirds { display: grid; gap: 14px 18px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.halves { display: grid; gap: 14px 24px; grid-template-columns: repeat(2, minmax(0, 1fr)); }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 18px 20px; min-width: 0; }
.wide { grid-column: 1 / -1; }
.big { font-size: 32px; font-weight: 650; line-height: 1.15; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: 14px; }
caption { text-align: left; color: var(--soft); padding: 0 0 6px; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--rule); text-align: right;
  vertical-align: top; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }
.text { text-align: left; white-space: normal; } td.text { overflow-wrap: anywhere; }
td.question { min-width: 220px; } .lines .text { white-space: pre-wrap; }
td.wrong { background: color-mix(in srgb, var(--bad) 16%, transparent); }
td.right { background: color-mix(in srgb, var(--s3) 16%, transparent); }
tr.first td { font-weight: 650; } .pm { color: var(--soft); font-weight: 400; font-size: 12px; }
.figures th, .figures td { padding: 6px 8px; } .figures td.text { white-space: nowrap; }
.figures .pm { display: block; } table + .soft, .scroll + .soft,
.scroll + .scroll { margin-top: 10px; }
.big .pm { font-size: 17px; font-weight: 500; } .short { width: auto; }
pre { font-size: 12px; overflow-x: auto; margin: 6px 0 0; } pre.wrap { white-space: pre-wrap;
  overflow-wrap: anywhere; } summary { cursor: pointer; }
.bad { color: var(--bad); } footer { color: var(--soft); font-size: 13px; margin-top: 20px; }
@media (max-width: 900px) { .grid, .halves { grid-template-columns: minmax(0, 1fr); }
  .heads { grid-template-columns: repeat(2, 1fr); } }
@media (max-width: 520px) { .heads { grid-template-columns: 1fr; } main { padding: 18px 12px; }
  .card { padding: 14px; } h1 { font-size: 22px; } .chart > svg:not(.small) { min-width: 440px; } }
)";

constexpr std::string_view charts = R"(
svg { display: block; width: 100%; max-width: 680px; height: auto; margin: 6px auto; }
svg.small { max-width: 400px; }
svg text { fill: var(--soft); font-size: 12px; } svg .name { fill: var(--ink); font-size: 13px; }
svg .title { font-size: 16px; font-weight: 600; } svg .value { fill: var(--ink); font-size: 11px; }
svg .strong { fill: var(--on); font-weight: 600; }
svg .grid { stroke: var(--rule); stroke-width: 1; } svg .axis { stroke: var(--soft); }
svg .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
svg .line.dashed { stroke-dasharray: 6 5; stroke-width: 1.75; }
svg .line.dotted { stroke-dasharray: 2 4; stroke-width: 2; }
svg .marker { stroke: var(--card); stroke-width: 1.5; } svg .cell { fill: var(--s1); }
svg .none { fill: none; stroke: var(--rule); stroke-width: 1; }
svg .line.s1 { stroke: var(--s1); } svg .line.s2 { stroke: var(--s2); }
svg .line.s3 { stroke: var(--s3); } svg .line.s4 { stroke: var(--s4); }
svg .line.s5 { stroke: var(--s5); } svg .line.s6 { stroke: var(--s6); }
svg .line.bad { stroke: var(--bad); } svg .line.mute { stroke: var(--mute); }
svg .line.ink { stroke: var(--ink); }
svg .area.s1, svg .marker.s1 { fill: var(--s1); } svg .area.s2, svg .marker.s2 { fill: var(--s2); }
svg .area.s3, svg .marker.s3 { fill: var(--s3); } svg .area.s4, svg .marker.s4 { fill: var(--s4); }
svg .area.s5, svg .marker.s5 { fill: var(--s5); } svg .area.s6, svg .marker.s6 { fill: var(--s6); }
svg .area.bad { fill: var(--bad); } svg .area.ink, svg .marker.ink { fill: var(--ink); }
svg .area.mute, svg .marker.mute { fill: var(--mute); } svg .area.half { fill-opacity: .55; }
svg .area.faint { fill-opacity: .3; } svg .area.band { fill-opacity: .11; }
)";

constexpr std::string_view paper = R"(
@media print { @page { size: A4; margin: 12mm; } :root { --page: #fff; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 11px; } main { max-width: none; padding: 0; } h1 { font-size: 20px; }
  h2 { font-size: 14px; break-after: avoid; } h3 { font-size: 11px; } .lead { font-size: 12px; }
  .big { font-size: 20px; }
  .heads { grid-template-columns: repeat(3, 1fr); gap: 8px; margin: 10px 0; }
  .grid { display: block; } .grid > .card { margin: 0 0 10px; } .card { padding: 10px 12px; }
  .card, tr, svg { break-inside: avoid; } .card.long { break-inside: auto; }
  .halves { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .thirds { grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px; }
  .scroll { overflow: visible; } table { font-size: 9px; }
  th, td, .figures th, .figures td { padding: 3px 4px; }
  .pm { font-size: 8px; } svg { max-width: 480px; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 9px; } }
)";

}  // namespace

std::string page_of(const std::string& title, const std::string& body) {
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
      title + "</title>\n<style>";
  for (const std::string_view part : {colours, layout, charts, paper}) page += part;
  return page + "</style>\n</head>\n<body>\n<main>\n" + body + "</main>\n</body>\n</html>\n";
}

std::string chart_style() { return std::string(colours) + std::string(charts); }

std::string cell(const std::string& text) { return "<td>" + text + "</td>"; }

std::string text_cell(std::string_view text) {
  std::string broken;
  for (const char c : escaped(text)) {
    broken += c;
    if (c == '_' || c == '/') broken += "<wbr>";
  }
  return "<td class=\"text\">" + broken + "</td>";
}

std::string heading(const std::vector<std::string>& names, std::size_t texts) {
  std::string row = "<tr>";
  for (std::size_t i = 0; i < names.size(); ++i) {
    row += (i < texts ? "<th class=\"text\">" : "<th>") + names[i] + "</th>";
  }
  return row + "</tr>\n";
}

std::string table(const std::string& rows) {
  return "<div class=\"scroll\"><table>\n" + rows + "</table></div>\n";
}

std::string chart(const std::string& svg) {
  return svg.empty() ? svg : "<div class=\"scroll chart\">\n" + svg + "</div>\n";
}

std::string card(const std::string& title, const std::string& what, const std::string& body,
                 const char* kind) {
  return std::string("<section class=\"") + kind + "\">\n<h2>" + title +
         "</h2>\n<p class=\"soft\">" + what + "</p>\n" + body + "</section>\n";
}

std::string headline(const std::string& figure, const std::string& words) {
  return "<div class=\"card\"><div class=\"big\">" + figure + "</div><div class=\"soft\">" + words +
         "</div></div>\n";
}

}  // namespace support
