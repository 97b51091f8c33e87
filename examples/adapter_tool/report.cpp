// SPDX-License-Identifier: MIT
#include "adapter_tool/report.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "support/output_file.hpp"
#include "support/shown.hpp"

namespace adapter_tool {

using anyssr::Json;

namespace {

using support::in_columns;
using support::shown;

/// A text in a column; one that is wider stays whole.
std::string padded(const std::string& text, int width) {
  const auto columns = static_cast<std::size_t>(width);
  const std::string all = shown(text);
  return all.size() > columns ? all : in_columns(text, columns);
}

/// Columns for a list of texts.
template <class Range, class Text>
int width_of(const Range& range, const std::string& heading, const Text& text) {
  std::size_t width = heading.size();
  for (const auto& entry : range) width = std::max(width, shown(text(entry)).size());
  return static_cast<int>(std::min<std::size_t>(width, 200));
}

/// "4,8", and "4..64" of many.
std::string ranks_text(const std::vector<anyssr::Index>& ranks) {
  constexpr std::size_t most = 4;
  if (ranks.empty()) return "-";
  if (ranks.size() > most) {
    return std::to_string(ranks.front()) + ".." + std::to_string(ranks.back());
  }
  std::string text;
  for (const anyssr::Index rank : ranks) text += (text.empty() ? "" : ",") + std::to_string(rank);
  return text;
}

std::string shape_text(anyssr::Index out, anyssr::Index in) {
  return std::to_string(out) + " x " + std::to_string(in);
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : shown(text); }

double relative(double error, double norm) { return norm == 0 ? 0 : error / norm; }

}  // namespace

void print(const Listing& listing) {
  const auto folder = [](const Listed& line) { return line.folder.string(); };
  const auto ranks = [](const Listed& line) { return ranks_text(line.ranks); };
  const int width = width_of(listing.adapters, "adapter", folder);
  const int rank_width = width_of(listing.adapters, "rank", ranks);
  std::printf("%-*s %6s %5s %*s %12s %12s %-5s %s\n", width, "adapter", "sites", "heads",
              rank_width, "rank", "parameters", "bytes", "dtype", "base model");
  for (const Listed& line : listing.adapters) {
    const std::string path = padded(line.folder.string(), width);
    if (!line.problem.empty()) {
      std::printf("%s cannot be read: %s\n", path.c_str(), shown(line.problem).c_str());
      continue;
    }
    std::printf("%s %6zu %5zu %*s %12lld %12llu %-5s %s\n", path.c_str(), line.sites, line.heads,
                rank_width, ranks(line).c_str(), static_cast<long long>(line.parameters),
                static_cast<unsigned long long>(line.bytes), line.dtype.c_str(),
                or_dash(line.base_model).c_str());
  }
}

void print(const Inspection& inspection) {
  std::printf("adapter     %s\n", shown(inspection.folder.string()).c_str());
  std::printf("base model  %s\n", or_dash(inspection.base_model).c_str());
  std::printf("task type   %s\n", or_dash(inspection.task_type).c_str());
  std::printf("weights     %lld parameters, %s, %llu bytes\n\n",
              static_cast<long long>(inspection.parameters), inspection.dtype.c_str(),
              static_cast<unsigned long long>(inspection.bytes));
  const int width =
      width_of(inspection.sites, "site", [](const InspectedSite& site) { return site.name; });
  std::printf("%-*s %13s %5s %8s %8s %11s %10s\n", width, "site", "out x in", "rank", "alpha",
              "scale", "|s B A|", "bytes");
  for (const InspectedSite& site : inspection.sites) {
    std::printf("%s %13s %5lld %8.6g %8.6g %11.6g %10llu\n", padded(site.name, width).c_str(),
                shape_text(site.out, site.in).c_str(), static_cast<long long>(site.rank),
                site.alpha, site.scale, site.change_norm,
                static_cast<unsigned long long>(site.bytes));
  }
  std::printf("%-*s %13s %5s %8s %8s %11.6g\n", width, "all sites", "", "", "", "",
              inspection.change_norm);
  if (inspection.rank_stabilised) std::printf("scale is alpha / sqrt(rank) (use_rslora)\n");
  for (const InspectedHead& head : inspection.heads) {
    std::printf("head %s  %s  %llu bytes\n", shown(head.name).c_str(),
                shape_text(head.out, head.in).c_str(), static_cast<unsigned long long>(head.bytes));
  }
  warn(inspection.warnings);
}

void print(const Conversion& conversion) {
  std::printf("wrote %s: %s to %s, %llu to %llu bytes\n", shown(conversion.out.string()).c_str(),
              conversion.from.c_str(), conversion.to.c_str(),
              static_cast<unsigned long long>(conversion.bytes_before),
              static_cast<unsigned long long>(conversion.bytes_after));
  std::printf("numbers rounded             %llu of %llu\n",
              static_cast<unsigned long long>(conversion.rounded),
              static_cast<unsigned long long>(conversion.numbers));
  std::printf("largest relative rounding   %.3g\n", conversion.largest_relative_rounding);
  std::printf("too small, 0 now            %llu\n",
              static_cast<unsigned long long>(conversion.became_zero));
  std::printf("error of the change         %.3g of its norm\n", conversion.change_error);
}

void print(const Merge& merge) {
  for (std::size_t i = 0; i < merge.names.size(); ++i) {
    std::printf("%c %.6g x %s\n", i == 0 ? ' ' : '+', merge.weights[i],
                shown(merge.names[i]).c_str());
  }
  std::printf("wrote %s: %s, %llu bytes%s\n\n", shown(merge.out.string()).c_str(),
              merge.dtype.c_str(), static_cast<unsigned long long>(merge.bytes),
              merge.is_copy ? ", unchanged" : "");
  const int width = width_of(merge.sites, "site", [](const MergedSite& site) { return site.name; });
  std::printf("%-*s %11s %5s %11s %11s %9s\n", width, "site", "rank of sum", "rank", "|sum|",
              "error", "relative");
  for (const MergedSite& site : merge.sites) {
    std::printf("%s %11lld %5lld %11.6g %11.3g %9.3g\n", padded(site.name, width).c_str(),
                static_cast<long long>(site.rank_of_sum), static_cast<long long>(site.rank),
                site.norm, site.error, relative(site.error, site.norm));
  }
  std::printf("%-*s %11s %5s %11.6g %11.3g %9.3g\n", width, "all sites", "", "", merge.norm,
              merge.error, relative(merge.error, merge.norm));
  warn(merge.warnings);
}

void print(const Comparison& comparison) {
  const int width =
      width_of(comparison.names, "similarity", [](const std::string& name) { return name; });
  std::printf("%-*s", width, "similarity");
  for (const std::string& name : comparison.names)
    std::printf(" %s", in_columns(name, 10, true).c_str());
  std::printf("\n");
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    std::printf("%s", padded(comparison.names[i], width).c_str());
    for (const double similarity : comparison.similarity[i]) std::printf(" %10.4f", similarity);
    std::printf("\n");
  }
  for (std::size_t i = 0; i < comparison.names.size(); ++i) {
    for (std::size_t j = i + 1; j < comparison.names.size(); ++j) {
      const auto& sites = comparison.common_sites;
      if (sites[i][j] == sites[i][i] && sites[i][j] == sites[j][j]) continue;
      std::printf("%s and %s have %zu sites in common, of %zu and %zu\n",
                  shown(comparison.names[i]).c_str(), shown(comparison.names[j]).c_str(),
                  sites[i][j], sites[i][i], sites[j][j]);
    }
  }
}

void print(const Verification& verification) {
  for (const anyssr::FileReport& file : verification.files) {
    if (file.damage.empty()) {
      std::printf("ok       %s\n", shown(file.path).c_str());
    } else {
      std::printf("damaged  %s\n", shown(file.damage).c_str());
    }
  }
  if (verification.is_whole()) {
    std::printf("generation %llu is whole: %zu files\n",
                static_cast<unsigned long long>(verification.newest_whole.value_or(0)),
                verification.files.size());
  } else if (verification.newest_whole) {
    std::printf("the checkpoint is damaged; generation %llu is whole\n",
                static_cast<unsigned long long>(*verification.newest_whole));
  } else {
    std::printf("the checkpoint is damaged; no generation is whole\n");
  }
}

void print(const LogVerification& verification) {
  const anyssr::AuditVerification& found = verification.found;
  const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
  std::printf("lines  %llu in %llu files\n", number(found.lines), number(found.files));
  if (found.lines > 0) {
    std::printf("seq    %llu to %llu\n", number(found.first_seq), number(found.last_seq));
    std::printf("time   %s to %s\n", found.first_time.c_str(), found.last_time.c_str());
  }
  if (found.torn_lines > 0) std::printf("torn   %llu\n", number(found.torn_lines));
  std::printf("head   %s\n", found.head.c_str());
  if (found.first_break) {
    std::printf("%-6s %s\n", std::string(to_string(found.first_break->kind)).c_str(),
                shown(found.first_break->what).c_str());
    std::printf("the log is not as it was written\n");
  } else if (!verification.is_intact()) {
    std::printf("the log holds no whole line: it is new, or it was wiped; --head tells which\n");
  } else if (found.first_seq > 1) {
    std::printf("the log is intact from seq %llu on: what was before is not here\n",
                number(found.first_seq));
  } else {
    std::printf("the log is intact\n");
  }
}

Json to_json(const Listing& listing) {
  Json adapters = Json::array();
  for (const Listed& line : listing.adapters) {
    Json entry{{"name", line.name}, {"folder", line.folder.string()}};
    if (line.problem.empty()) {
      entry.update({{"sites", line.sites},
                    {"heads", line.heads},
                    {"ranks", line.ranks},
                    {"parameters", line.parameters},
                    {"bytes", line.bytes},
                    {"dtype", line.dtype},
                    {"base_model", line.base_model}});
    } else {
      entry["problem"] = line.problem;
    }
    adapters.push_back(std::move(entry));
  }
  return {{"adapters", std::move(adapters)}};
}

Json to_json(const Inspection& inspection) {
  Json sites = Json::array();
  for (const InspectedSite& site : inspection.sites) {
    sites.push_back({{"name", site.name},
                     {"out", site.out},
                     {"in", site.in},
                     {"rank", site.rank},
                     {"alpha", site.alpha},
                     {"scale", site.scale},
                     {"change_norm", site.change_norm},
                     {"product_norm", site.change_norm / site.scale},
                     {"bytes", site.bytes}});
  }
  Json heads = Json::array();
  for (const InspectedHead& head : inspection.heads) {
    heads.push_back(
        {{"name", head.name}, {"out", head.out}, {"in", head.in}, {"bytes", head.bytes}});
  }
  return {{"name", inspection.name},
          {"folder", inspection.folder.string()},
          {"base_model", inspection.base_model},
          {"task_type", inspection.task_type},
          {"dtype", inspection.dtype},
          {"bytes", inspection.bytes},
          {"parameters", inspection.parameters},
          {"change_norm", inspection.change_norm},
          {"rank_stabilised", inspection.rank_stabilised},
          {"sites", std::move(sites)},
          {"heads", std::move(heads)},
          {"warnings", inspection.warnings}};
}

Json to_json(const Conversion& conversion) {
  return {{"out", conversion.out.string()},
          {"from", conversion.from},
          {"to", conversion.to},
          {"bytes_before", conversion.bytes_before},
          {"bytes_after", conversion.bytes_after},
          {"numbers", conversion.numbers},
          {"rounded", conversion.rounded},
          {"became_zero", conversion.became_zero},
          {"largest_relative_rounding", conversion.largest_relative_rounding},
          {"change_error", conversion.change_error}};
}

Json to_json(const Merge& merge) {
  Json sites = Json::array();
  for (const MergedSite& site : merge.sites) {
    sites.push_back({{"name", site.name},
                     {"rank_of_sum", site.rank_of_sum},
                     {"rank", site.rank},
                     {"norm", site.norm},
                     {"error", site.error},
                     {"relative_error", relative(site.error, site.norm)}});
  }
  Json adapters = Json::array();
  for (std::size_t i = 0; i < merge.names.size(); ++i) {
    adapters.push_back({{"name", merge.names[i]}, {"weight", merge.weights[i]}});
  }
  return {{"out", merge.out.string()},  {"adapters", std::move(adapters)},
          {"dtype", merge.dtype},       {"bytes", merge.bytes},
          {"unchanged", merge.is_copy}, {"norm", merge.norm},
          {"error", merge.error},       {"relative_error", relative(merge.error, merge.norm)},
          {"sites", std::move(sites)},  {"warnings", merge.warnings}};
}

Json to_json(const Comparison& comparison) {
  return {{"adapters", comparison.names},
          {"folders", comparison.folders},
          {"similarity", comparison.similarity},
          {"common_sites", comparison.common_sites}};
}

Json to_json(const Verification& verification) {
  Json files = Json::array();
  for (const anyssr::FileReport& file : verification.files) {
    files.push_back(
        {{"path", file.path}, {"damage", file.damage.empty() ? Json(nullptr) : Json(file.damage)}});
  }
  return {{"checkpoint", verification.checkpoint},
          {"whole", verification.is_whole()},
          {"newest_whole_generation",
           verification.newest_whole ? Json(*verification.newest_whole) : Json(nullptr)},
          {"files", std::move(files)}};
}

Json to_json(const LogVerification& verification) {
  const anyssr::AuditVerification& found = verification.found;
  Json first_break = nullptr;
  if (found.first_break) {
    first_break = {{"kind", to_string(found.first_break->kind)},
                   {"file", found.first_break->file.string()},
                   {"line", found.first_break->line},
                   {"what", found.first_break->what}};
  }
  return {{"log", verification.log},        {"intact", verification.is_intact()},
          {"files", found.files},           {"lines", found.lines},
          {"torn_lines", found.torn_lines}, {"first_seq", found.first_seq},
          {"last_seq", found.last_seq},     {"first_time", found.first_time},
          {"last_time", found.last_time},   {"head", found.head},
          {"break", std::move(first_break)}};
}

void write_json(const std::string& path, const Json& json) {
  if (path != "-") return support::write_json(path, json);
  // of escapes alone, since a terminal may read them; a path need not be UTF-8, and JSON text is
  std::printf("%s\n", json.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
}

}  // namespace adapter_tool
