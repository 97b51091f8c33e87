// SPDX-License-Identifier: MIT

/// @file
/// The ratios of this machine in one table and one flat file, bench_summary.json in the working
/// folder. It runs router_bench and llama_bench (all ratios of Eigen against Eigen), their programs
/// with a BLAS where there is one, learner_bench, memory, and departments on CLINC150 where the
/// environment variable ANYSSR_EXTRA_DATA names a folder with data/clinc150. Each figure is the
/// best of several interleaved repetitions.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "anyssr/core/processors.hpp"

namespace {

using Json = nlohmann::ordered_json;

/// The best of the repetitions of one benchmark.
struct Best {
  std::vector<double> all_seconds;  // an iteration, one a repetition
  double seconds = 1e300;           // the least of them
  double waited = 1;                // seconds over CPU seconds of the calling thread, then
  std::map<std::string, double> largest;
  std::map<std::string, double> smallest;
};

/// What one run of a bench program measured.
class Measured {
 public:
  void read(const std::string& path) {
    const Json file = Json::parse(std::ifstream(path));
    for (const Json& run : file.at("benchmarks")) {
      if (run.at("run_type") == "iteration") add(run);
    }
  }
  /// Seconds an iteration.
  [[nodiscard]] double seconds(const std::string& name) const { return find(name).seconds; }
  /// Rows or useful GFLOP a second.
  [[nodiscard]] double rate(const std::string& name) const {
    const auto& counters = find(name).largest;
    const auto rows = counters.find("rows/s");
    return rows != counters.end() ? rows->second : counters.at("GFLOP/s");
  }
  [[nodiscard]] double smallest(const std::string& name, const std::string& counter) const {
    return find(name).smallest.at(counter);
  }

  [[nodiscard]] double largest(const std::string& name, const std::string& counter) const {
    return find(name).largest.at(counter);
  }

  /// Says where other jobs spoilt the times: threads that share a core wait for each other.
  void print_noise(const char* program) const {
    std::size_t noisy = 0;
    for (const auto& [name, best] : best_) {
      std::vector<double> sorted = best.all_seconds;
      std::sort(sorted.begin(), sorted.end());
      const bool varies = sorted[sorted.size() / 2] > 1.5 * best.seconds;
      noisy += varies || best.waited > 1.3 ? 1 : 0;
    }
    std::printf("%s: %zu of %zu benchmarks had to wait for a core%s\n", program, noisy,
                best_.size(),
                noisy > 0 ? ": other jobs ran, measure again when they have ended" : "");
  }

 private:
  void add(const Json& run) {
    std::string name = run.at("run_name").get<std::string>();
    for (const char* suffix : {"/iterations:", "/min_time:", "/real_time"}) {
      name = name.substr(0, name.find(suffix));
    }
    static const std::map<std::string, double> units{
        {"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    Best& best = best_[name];
    best.all_seconds.push_back(run.at("real_time").get<double>() * units.at(run.at("time_unit")));
    if (best.all_seconds.back() < best.seconds) {
      best.seconds = best.all_seconds.back();
      best.waited = run.at("real_time").get<double>() / run.at("cpu_time").get<double>();
    }
    for (const char* counter :
         {"rows/s", "GFLOP/s", "GB/s", "weight_GB/s", "p50_us", "p99_us", "accuracy"}) {
      if (!run.contains(counter)) continue;
      const double value = run.at(counter);
      best.largest[counter] = std::max(best.largest[counter], value);
      const auto [place, is_first] = best.smallest.emplace(counter, value);
      if (!is_first) place->second = std::min(place->second, value);
    }
  }
  [[nodiscard]] const Best& find(const std::string& name) const {
    const auto found = best_.find(name);
    if (found == best_.end()) throw std::runtime_error("no benchmark ran as " + name);
    return found->second;
  }

  std::map<std::string, Best> best_;
};

/// Runs a command; the summary ends where it fails.
void run(const std::string& command) {
  std::cout << "\n$ " << command << std::endl;
  if (std::system(command.c_str()) != 0) throw std::runtime_error("this failed: " + command);
}

/// Text as one word of a shell command.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

/// @param names  of the benchmarks, without what Google Benchmark appends
Measured run_benchmarks(const std::string& program, const std::string& out,
                        const std::vector<std::string>& names) {
  std::string filter;
  for (const std::string& name : names) filter += (filter.empty() ? "^(" : "|") + name;
  filter += ")(/iterations:.*|/min_time:.*)?/real_time(/threads:.*)?$";
  run(shell_word(program) + " --benchmark_filter=" + shell_word(filter) +
      " --benchmark_repetitions=5 --benchmark_min_time=0.05"
      " --benchmark_enable_random_interleaving=true --benchmark_display_aggregates_only=true"
      " --benchmark_out_format=json --benchmark_out=" +
      shell_word(out));
  Measured measured;
  measured.read(out);
  return measured;
}

/// A figure with what the project aims at.
struct Figure {
  std::string name;
  std::optional<double> value = {};  // empty: not measured here
  char relation = ' ';               // '>': at least, '<': at most, ' ': reported only
  double target = 0;
};

const std::string second_moment = "second_moment<float>/dim:4096/rows:4096";
const std::string factor = "factor<float>/dim:4096";
const std::string covariance_1 = "covariance<float>/dim:2048/rows:1";
const std::string covariance_256 = "covariance<float>/dim:2048/rows:256";
const std::string published_1 = "published<float>/dim:2048/rows:1";
const std::string published_256 = "published<float>/dim:2048/rows:256";
const std::string hadamard_1 = "hadamard<float>/from:4096/to:8192/rows:1";
const std::string hadamard_256 = "hadamard<float>/from:4096/to:8192/rows:256";
const std::string dense_1 = "dense<float>/from:4096/to:8192/rows:1";
const std::string dense_256 = "dense<float>/from:4096/to:8192/rows:256";

void add_regression(std::vector<Figure>& figures, const Measured& m) {
  const double batch = std::max(m.rate("learn_batch_of_row_major<float>/dim:4096/rows:4096"),
                                m.rate("learn_batch_of_column_major<float>/dim:4096/rows:4096"));
  figures.insert(
      figures.end(),
      {{"row_vs_batch", batch / m.rate("learn_row_by_row<float>/dim:4096/rows:4096"), '<', 1.15},
       {"cholesky_vs_eigen", m.rate(factor) / m.rate("factor_by_llt<float>/dim:4096"), '>', 1.7},
       {"update_64_vs_refactor",
        m.seconds("learn_and_update_factor<float>/dim:4096/rows:64") / m.seconds(factor), '<',
        0.35}});
}

void add_streaming(std::vector<Figure>& figures, const Measured& m) {
  figures.insert(
      figures.end(),
      {{"covariance_vs_published_1", m.rate(covariance_1) / m.rate(published_1), '>', 250},
       {"covariance_vs_published_256", m.rate(covariance_256) / m.rate(published_256), '>', 5},
       {"information_vs_published_1",
        m.rate("information_row_by_row<float>/dim:2048/rows:4096") / m.rate(published_1), '>',
        1000}});
}

void add_decisions(std::vector<Figure>& figures, const Measured& m) {
  const std::string single = "decide_hadamard/tasks:100";
  const double batch = m.rate("decide_hadamard_batch/tasks:100/rows:256");
  const std::string ten_thousand = "decide_many_batch/tasks:10000/rows:64";
  figures.insert(figures.end(),
                 {{"hadamard_vs_dense_1", m.rate(hadamard_1) / m.rate(dense_1), '>', 60},
                  {"hadamard_vs_dense_256", m.rate(hadamard_256) / m.rate(dense_256), '>', 20},
                  {"hadamard_microseconds", 1e6 / m.rate(hadamard_1), '<', 100},
                  {"decision_p50_us", m.smallest(single, "p50_us"), '<', 500},
                  {"decision_p99_us", m.smallest(single, "p99_us")},
                  {"batch_decision_vs_single", m.rate(single) / batch, '<', 1.0 / 3},
                  {"thousand_us", m.smallest("decide_many/tasks:1000", "p50_us")},
                  {"ten_thousand_us", m.smallest("decide_many/tasks:10000", "p50_us")},
                  {"ten_thousand_batch_us", 1e6 / m.rate(ten_thousand)},
                  {"ten_thousand_accuracy", m.smallest(ten_thousand, "accuracy"), '>', 0.9}});
}

void add_next_task(std::vector<Figure>& figures, const Measured& m) {
  const auto seconds = [&](const char* part, const char* known) {
    return m.seconds("next_task" + std::string(part) + "/known:" + known);
  };
  const auto flops = [&](const char* part) {
    return seconds(part, "1000") * m.rate("next_task" + std::string(part) + "/known:1000");
  };
  const double solve_and_calibrate = (flops("_solve") + flops("_calibrate")) /
                                     (seconds("_solve", "1000") + seconds("_calibrate", "1000"));
  figures.insert(figures.end(),
                 {{"task100_vs_task1", seconds("", "100") / seconds("", "1"), '<', 1.2},
                  {"update_factor_1000_vs_1",
                   (seconds("_update", "1000") + seconds("_factor", "1000")) /
                       (seconds("_update", "1") + seconds("_factor", "1")),
                   '<', 1.05},
                  {"solve_calibrate_vs_gemm_1000",
                   solve_and_calibrate / m.rate("next_task_gemm/known:1000"), '>', 0.6}});
}

/// @param blas  ours with BLAS; against the published form and Eigen's LLT as plain Eigen runs them
void add_blas(std::vector<Figure>& figures, const Measured& eigen,
              const std::optional<Measured>& blas) {
  const auto value = [&](const auto& ratio) -> std::optional<double> {
    if (!blas) return std::nullopt;
    return ratio(*blas);
  };
  figures.push_back({"syrk_vs_blas", value([](const Measured& m) {
                       return m.rate(second_moment) /
                              m.rate("second_moment_by_syrk<float>/dim:4096/rows:4096");
                     }),
                     '>', 0.95});
  figures.push_back({"blas_covariance_vs_published_256", value([&](const Measured& m) {
                       return m.rate(covariance_256) / eigen.rate(published_256);
                     }),
                     '>', 7});
  figures.push_back(
      {"blas_hadamard_vs_dense_256",
       value([](const Measured& m) { return m.rate(hadamard_256) / m.rate(dense_256); }), '>', 20});
  figures.push_back({"blas_cholesky_vs_eigen", value([&](const Measured& m) {
                       return m.rate(factor) / eigen.rate("factor_by_llt<float>/dim:4096");
                     }),
                     '>', 1.7});
}

Measured measure_eigen() {
  return run_benchmarks(
      ANYSSR_ROUTER_BENCH, "router_bench.json",
      {second_moment, "second_moment_by_gemm<float>/dim:4096/rows:4096",
       "learn_row_by_row<float>/dim:4096/rows:4096",
       "learn_batch_of_.*_major<float>/dim:4096/rows:4096", factor, "factor_by_llt<float>/dim:4096",
       "learn_and_update_factor<float>/dim:4096/rows:64", covariance_1, covariance_256, published_1,
       published_256, "information_row_by_row<float>/dim:2048/rows:4096", hadamard_1, hadamard_256,
       dense_1, dense_256, "decide_.*", "next_task.*"});
}

std::optional<Measured> measure_blas() {
#ifdef ANYSSR_ROUTER_BENCH_BLAS
  return run_benchmarks(ANYSSR_ROUTER_BENCH_BLAS, "router_bench_blas.json",
                        {second_moment, "second_moment_by_syrk<float>/dim:4096/rows:4096", factor,
                         covariance_256, hadamard_256, dense_256});
#else
  return std::nullopt;
#endif
}

/// What predictions notice of a thread that learns, and the cost of an adapter on demand.
void add_learner(std::vector<Figure>& figures, const Measured& m) {
  const auto p99 = [&](const char* when) {
    return m.smallest("predict/" + std::string(when), "p99_us");
  };
  const auto rate = [&](const char* when) {
    return m.rate("predict/" + std::string(when) + "_by_two");
  };
  figures.insert(figures.end(),
                 {{"predict_p99_learning_vs_rest", p99("while_learning") / p99("at_rest"), '<', 3},
                  {"predict_rate_learning_vs_rest", rate("while_learning") / rate("at_rest")},
                  {"adapter_hit_us", 1e6 * m.seconds("get_adapter/hit")},
                  {"adapter_miss_us", 1e6 * m.seconds("get_adapter/miss")}});
}

Measured measure_learner() {
  return run_benchmarks(ANYSSR_LEARNER_BENCH, "learner_bench.json",
                        {"predict/.*", "get_adapter/.*"});
}

/// The language model against a plain program (baseline.hpp), the memory, and itself.
void add_llama(std::vector<Figure>& figures, const Measured& m) {
  const auto gain = [](const Measured& run, const char* ours, const char* other) {
    return run.seconds(other) / run.seconds(ours);
  };
  const double bandwidth = m.largest("read_memory", "GB/s");
  figures.insert(
      figures.end(),
      {{"prefill_vs_baseline", gain(m, "prefill/f32", "prefill_baseline"), '>', 7},
       {"decode_f32_vs_baseline", gain(m, "decode/f32", "decode_baseline"), '>', 0.95},
       {"decode_bf16_vs_baseline", gain(m, "decode/bf16", "decode_baseline")},
       {"decode_bf16_vs_f32", gain(m, "decode/bf16", "decode/f32"), '>', 1.4},
       {"bandwidth_share", m.largest("decode/f32", "weight_GB/s") / bandwidth, '>', 0.85},
       {"bandwidth_share_bf16", m.largest("decode/bf16", "weight_GB/s") / bandwidth, '>', 0.65},
       {"routing_share_of_prefill", gain(m, "prefill/f32", "route"), '<', 0.02},
       {"lora_overhead", gain(m, "answer/no_adapter", "answer/one_adapter"), '<', 1.05},
       {"mixed_batch_overhead", gain(m, "answer/one_adapter", "answer/every_adapter"), '<', 1.15},
       {"training_step_vs_forward", gain(m, "forward_deep", "train_step"), '<', 2.5}});
}

Measured measure_llama() {
  return run_benchmarks(ANYSSR_LLAMA_BENCH, "llama_bench.json",
                        {"read_memory", "decode_baseline", "decode/.*", "route", "answer/.*",
                         "train_step", "forward_deep", "prefill_baseline", "prefill/f32"});
}

double measure_memory() {
  run(shell_word(ANYSSR_MEMORY) + " 8192 >memory.json");
  return Json::parse(std::ifstream("memory.json")).at("peak_bytes_over_d2");
}

std::optional<double> measure_clinc() {
  const char* data = std::getenv("ANYSSR_EXTRA_DATA");
#ifdef ANYSSR_DEPARTMENTS
  if (data != nullptr) {
    const std::filesystem::path folder = std::filesystem::path(data) / "data" / "clinc150";
    run(shell_word(ANYSSR_DEPARTMENTS) + " --clinc " + shell_word(folder.string()) +
        " --dim 8192 --quiet --json departments.json");
    return Json::parse(std::ifstream("departments.json")).at("total_seconds");
  }
#endif
  std::cout << "\nclinc_seconds is not measured: "
            << (data == nullptr ? "ANYSSR_EXTRA_DATA is not set"
                                : "the example departments is not built")
            << "\n";
  return std::nullopt;
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

void print(const std::vector<Figure>& figures) {
  std::printf("\n%-34s %10s   %s\n", "figure", "measured", "target");
  for (const Figure& figure : figures) {
    std::printf("%-34s ", figure.name.c_str());
    if (figure.value) {
      std::printf("%10.4g   ", *figure.value);
    } else {
      std::printf("%10s   ", "-");
    }
    if (figure.relation == ' ') {
      std::printf("reported\n");
      continue;
    }
    std::printf("%s %.3g", figure.relation == '>' ? "at least" : "at most", figure.target);
    const bool holds = !figure.value || (figure.relation == '>' ? *figure.value >= figure.target
                                                                : *figure.value <= figure.target);
    std::printf("%s\n", holds ? "" : "   MISSED");
  }
}

void write(const std::vector<Figure>& figures) {
  Json json;
  for (const Figure& figure : figures) {
    json[figure.name] = figure.value ? Json(*figure.value) : Json(nullptr);
  }
  json["machine"] = cpu_model();
  json["compiler"] = ANYSSR_COMPILER;
  json["flags"] = ANYSSR_FLAGS;
  json["threads"] = anyssr::usable_processors();
  json["blas"] = ANYSSR_BLAS_NAME;
#ifdef _OPENMP
  json["openmp"] = true;
#else
  json["openmp"] = false;
#endif
  std::ofstream file("bench_summary.json", std::ios::binary);
  file << json.dump(2) << "\n";
  file.flush();
  if (!file) throw std::runtime_error("bench_summary.json cannot be written");
}

void summarise() {
  const Measured eigen = measure_eigen();
  const std::optional<Measured> blas = measure_blas();
  const Measured learner = measure_learner();
  const Measured llama = measure_llama();
  const double peak = measure_memory();
  const std::optional<double> clinc = measure_clinc();
  std::vector<Figure> figures{
      {"syrk_vs_gemm",
       eigen.rate(second_moment) / eigen.rate("second_moment_by_gemm<float>/dim:4096/rows:4096"),
       '>', 0.95}};
  add_regression(figures, eigen);
  figures.push_back({"peak_bytes_over_d2", peak, '<', 1.25});
  add_streaming(figures, eigen);
  add_decisions(figures, eigen);
  add_next_task(figures, eigen);
  add_learner(figures, learner);
  add_llama(figures, llama);
  figures.push_back({"clinc_seconds", clinc, '<', 90});
  add_blas(figures, eigen, blas);
  print(figures);
  std::printf("\n");
  eigen.print_noise("router_bench");
  learner.print_noise("learner_bench");
  llama.print_noise("llama_bench");
  if (blas) blas->print_noise("router_bench_blas");
  write(figures);
  std::printf("written: bench_summary.json\n");
}

}  // namespace

int main() {
  try {
    summarise();
  } catch (const std::exception& error) {
    std::cerr << "summary: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
