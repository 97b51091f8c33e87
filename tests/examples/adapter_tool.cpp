// SPDX-License-Identifier: MIT
// The application as its users run it: folders in, tables, JSON and folders out, against dense
// matrices that the test forms.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "anyssr/io.hpp"
#include "support/audit_folder.hpp"
#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/malformed_peft.hpp"
#include "support/program.hpp"
#include "support/reference.hpp"

using namespace anyssr;
using namespace anyssr::test;
using nlohmann::json;

namespace {

const std::string adapter_tool_program = ANYSSR_ADAPTER_TOOL;

ProgramResult run_tool(const std::string& arguments) {
  return run_program(adapter_tool_program, arguments);
}

/// A module of random factors that F16 and BF16 hold.
LoraModule<double> exact_module(Index out, Index in, Index rank, double alpha, std::uint64_t seed) {
  const auto factor = [&](Index rows, Index cols, std::uint64_t number) {
    return Matrix<double>((random_normal<double>(rows, cols, seed, number).array() * 16).round() /
                          16);
  };
  return {factor(rank, in, 1), factor(out, rank, 2), {.rank = rank, .alpha = alpha}};
}

/// Two sites, ranks 2 and 3.
Adapter<double> sample_adapter(std::uint64_t seed) {
  Adapter<double> adapter;
  adapter.modules.emplace("layers.0.q", exact_module(7, 9, 2, 4, seed));
  adapter.modules.emplace("layers.0.v", exact_module(5, 9, 3, 1.5, seed + 1000));
  return adapter;
}

Head<double> sample_head(std::uint64_t seed) {
  return {.weights = random_normal<double>(4, 3, seed).array().round(),
          .bias = RowVector<double>::Constant(3, static_cast<double>(seed))};
}

/// c B A of a site in a folder; zero where it has none of that name.
Matrix<double> change_of(const std::string& folder, const std::string& site, Index out = 0,
                         Index in = 0) {
  const Adapter<double> adapter = read_peft_adapter<double>(folder, {.heads = {"score"}}).adapter;
  const auto module = adapter.modules.find(site);
  if (module == adapter.modules.end()) return Matrix<double>::Zero(out, in);
  return module->second.delta();
}

/// A folder of folders with adapters a, b and c of F32, as PEFT would write them.
struct AdapterFolders {
  TemporaryFolder folder;
  std::string a = folder.file("a");
  std::string b = folder.file("b");
  std::string c = folder.file("c");
  std::string out = folder.file("out");
  std::string figures = folder.file("figures.json");

  AdapterFolders() {
    std::uint64_t seed = 1;
    for (const std::string& path : {a, b, c}) {
      write_peft_adapter(path, sample_adapter(seed++),
                         {.base_model = "base", .task_type = "CAUSAL_LM", .dtype = Dtype::F32});
    }
  }
  /// Runs a command that must end well and gives its JSON.
  [[nodiscard]] json found(const std::string& arguments) const {
    const ProgramResult result = run_tool(arguments + " --json " + figures);
    CAPTURE(arguments, result.output);
    REQUIRE(result.status == 0);
    return read_figures(figures);
  }
  void refuses(const std::string& arguments, const std::string& reason) const {
    const ProgramResult result = run_tool(arguments);
    CAPTURE(arguments, result.output);
    CHECK(result.status == 2);
    CHECK(contains(result.output, reason));
    CHECK_FALSE(std::filesystem::exists(out));
  }
};

std::string weights_of(const std::string& folder) {
  return file_bytes(folder + "/adapter_model.safetensors");
}
std::string config_of(const std::string& folder) {
  return file_bytes(folder + "/adapter_config.json");
}

}  // namespace

TEST_CASE("adapter_tool explains itself and every command", "[examples]") {
  const ProgramResult help = run_tool("--help");
  CHECK(help.status == 0);
  for (const char* command :
       {"list", "inspect", "convert", "merge", "compare", "verify", "verify-log"}) {
    CAPTURE(command);
    CHECK(contains(help.output, command));
    const ProgramResult more = run_tool(std::string(command) + " --help");
    CHECK(more.status == 0);
    CHECK(contains(more.output, "--json"));
    CHECK(contains(more.output, std::string("adapter_tool ") + command));
  }
  CHECK(run_tool("--version").status == 0);
  CHECK(contains(run_tool("merge --help").output, "--rank"));
  CHECK(contains(run_tool("merge --help").output, "--force"));
  CHECK(contains(run_tool("convert --help").output, "--dtype"));
}

TEST_CASE("adapter_tool lists what is below a folder", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> more = sample_adapter(9);
  more.heads["score"] = sample_head(2);
  std::filesystem::create_directories(folders.folder.file("deep/er"));
  write_peft_adapter(folders.folder.file("deep/er/x"), more, {.dtype = Dtype::F16});
  std::filesystem::create_directories(folders.folder.file(".hidden"));
  write_peft_adapter(folders.folder.file(".hidden/y"), more);
  const ProgramResult result = run_tool("list " + folders.folder.file(""));
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(contains(result.output, "adapter "));
  CHECK(contains(result.output, "2,3"));
  CHECK_FALSE(contains(result.output, "hidden"));

  const json all = folders.found("list " + folders.folder.file("deep") + " " + folders.a);
  REQUIRE(all["adapters"].size() == 2);
  const json& deep = all["adapters"][0];
  CHECK(deep["name"] == "x");
  CHECK(deep["folder"] == folders.folder.file("deep/er/x"));
  CHECK(deep["sites"] == 2);
  CHECK(deep["heads"] == 1);
  CHECK(deep["ranks"] == json{2, 3});
  CHECK(deep["parameters"] == more.parameter_count());
  CHECK(deep["dtype"] == "F16");
  CHECK(deep["base_model"] == "");
  CHECK(deep["bytes"] ==
        std::filesystem::file_size(folders.folder.file("deep/er/x/adapter_model.safetensors")));
  CHECK(all["adapters"][1]["dtype"] == "F32");
  CHECK(all["adapters"][1]["base_model"] == "base");
}

TEST_CASE("adapter_tool lists adapters that cannot be read with the reason", "[examples][error]") {
  const AdapterFolders folders;
  std::filesystem::create_directory(folders.folder.file("pickle"));
  folders.folder.write("pickle/adapter_model.bin", "PK");
  folders.folder.write("c/adapter_config.json", R"({"peft_type":"LORA","use_dora":true})");
  const ProgramResult result =
      run_tool("list " + folders.folder.file("") + " --json " + folders.figures);
  CAPTURE(result.output);
  CHECK(result.status == 2);
  CHECK(contains(result.output, "adapter_model.bin: is a pickle, expected"));
  CHECK(contains(result.output, "use_dora is true"));
  const json figures = read_figures(folders.figures);
  REQUIRE(figures["adapters"].size() == 4);
  CHECK(figures["adapters"][0]["sites"] == 2);
  CHECK(contains(figures["adapters"][2]["problem"].get<std::string>(), "use_dora"));
  CHECK_FALSE(figures["adapters"][3].contains("sites"));
}

TEST_CASE("adapter_tool lists what config and header say and reads no number", "[examples]") {
  const AdapterFolders folders;
  std::string bytes = tensors_with({{"base_model.model.score.weight", {5, 3}}});
  bytes.replace(bytes.size() - 4, 4, little_endian(0x7FC00000, 4));  // NaN
  folders.folder.write("a/adapter_config.json", config_with(R"("modules_to_save":["score"])"));
  folders.folder.write("a/adapter_model.safetensors", bytes);
  const json line = folders.found("list " + folders.a)["adapters"][0];
  CHECK(line["sites"] == 1);
  CHECK(line["heads"] == 1);
  CHECK(line["parameters"] == 2 * 3 + 4 * 2 + 5 * 3);
  folders.refuses("inspect " + folders.a, "holds NaN, infinity or a number too large");
}

TEST_CASE("adapter_tool keeps the revision that all adapters of a merge name", "[examples]") {
  const AdapterFolders folders;
  for (const std::string& path : {folders.a, folders.b}) {
    write_peft_adapter(path, sample_adapter(3), {.base_model = "base", .revision = "v1"});
  }
  const std::string arguments = "merge " + folders.out + " " + folders.a + " " + folders.b;
  (void)folders.found(arguments);
  CHECK(contains(config_of(folders.out), "\"revision\": \"v1\""));
  (void)folders.found(arguments + " " + folders.c + " --force");
  CHECK_FALSE(contains(config_of(folders.out), "revision"));
}

TEST_CASE("adapter_tool inspects sites and heads", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> adapter = sample_adapter(4);
  adapter.heads["score"] = sample_head(7);
  write_peft_adapter(folders.out, adapter,
                     {.base_model = "big\x1b[31m\xC2\x9B"
                                    "31m\xC3\x9B",
                      .dtype = Dtype::BF16});
  const json figures = folders.found("inspect " + folders.out);
  CHECK(figures["name"] == "out");
  CHECK(figures["dtype"] == "BF16");
  CHECK(figures["parameters"] == adapter.parameter_count());
  REQUIRE(figures["sites"].size() == 2);
  double squares = 0;
  for (const json& site : figures["sites"]) {
    const LoraModule<double>& module = adapter.modules.at(site["name"].get<std::string>());
    const double norm = module.delta().norm();
    squares += norm * norm;
    CHECK(site["out"] == module.out_dim());
    CHECK(site["in"] == 9);
    CHECK(site["rank"] == module.rank());
    CHECK(site["alpha"] == module.alpha());
    CHECK(site["scale"] == module.scale());
    CHECK(site["bytes"] == 2 * module.parameter_count());
    CHECK(std::abs(site["change_norm"].get<double>() - norm) < 1e-14 * norm);
    CHECK(std::abs(site["product_norm"].get<double>() - norm / module.scale()) <
          1e-14 * norm / module.scale());
  }
  CHECK(std::abs(figures["change_norm"].get<double>() - std::sqrt(squares)) < 1e-13);
  REQUIRE(figures["heads"].size() == 1);
  CHECK(figures["heads"][0] == json{{"name", "score"}, {"out", 3}, {"in", 4}, {"bytes", 30}});
  const ProgramResult table = run_tool("inspect " + folders.out);
  CAPTURE(table.output);
  CHECK(contains(table.output, "7 x 9     2        4        2"));
  CHECK(contains(table.output, "head score  3 x 4  30 bytes"));
  // no escape reaches the terminal, in one byte or in two
  CHECK(contains(table.output, "base model  big\\x1B[31m\\u{9B}31m\xC3\x9B\n"));
  const std::string printed = run_tool("inspect " + folders.out + " --json -").output;
  CHECK(std::all_of(printed.begin(), printed.end(),
                    [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  CHECK(json::parse(printed) == figures);

  std::string config = config_of(folders.a);
  config.replace(config.rfind("layers.0.v"), 10, "layers.0.k");  // of target_modules
  folders.folder.write("a/adapter_config.json", config);
  const json warned = folders.found("inspect " + folders.a);
  CHECK(warned["warnings"].size() == 2);
  CHECK(contains(run_tool("inspect " + folders.a).output,
                 "warning: target_modules names none of the sites \"layers.0.v\""));
}

TEST_CASE("adapter_tool converts and says what rounding did", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> adapter = sample_adapter(5);
  adapter.modules.at("layers.0.q").mutable_a()(0, 0) = 1.0 / 3;
  adapter.modules.at("layers.0.q").mutable_a()(1, 3) = 1e-30;  // too small for F16
  adapter.heads["score"] = sample_head(3);
  write_peft_adapter(folders.a, adapter, {.base_model = "base"});
  folders.folder.write("a/adapter_config.json", config_of(folders.a) + "\n\n");
  const std::string name = GENERATE("F64", "F32", "F16", "BF16");
  CAPTURE(name);
  const json figures =
      folders.found("convert " + folders.a + " " + folders.out + " --dtype " + name);
  CHECK(config_of(folders.out) == config_of(folders.a));
  CHECK(figures["from"] == "F64");
  CHECK(figures["to"] == name);
  CHECK(figures["numbers"] == adapter.parameter_count());
  CHECK(figures["bytes_after"] == weights_of(folders.out).size());
  const PeftAdapter<double> converted =
      read_peft_adapter<double>(folders.out, {.heads = {"score"}});
  CHECK(to_string(*converted.report.dtype) == name);
  const auto rounded = [&](double x) -> double {
    if (name == "F16") return from_f16(to_f16(x));
    if (name == "BF16") return from_bf16(to_bf16(x));
    return name == "F32" ? static_cast<float>(x) : x;
  };
  const Matrix<double>& a = converted.adapter.modules.at("layers.0.q").a();
  CHECK(a(0, 0) == rounded(1.0 / 3));
  CHECK(a(1, 3) == rounded(1e-30));
  const double tiny = rounded(1e-30) == 0 ? 0 : std::abs(rounded(1e-30) - 1e-30) / 1e-30;
  const double third = std::abs(a(0, 0) - 1.0 / 3) * 3;
  CHECK(std::abs(figures["largest_relative_rounding"].get<double>() - std::max(tiny, third)) <
        1e-15);
  CHECK(figures["became_zero"] == (name == "F16" ? 1 : 0));
  CHECK(figures["rounded"] == (name == "F64" ? 0 : 2));
  const Matrix<double> before = change_of(folders.a, "layers.0.q");
  const Matrix<double> after = change_of(folders.out, "layers.0.q");
  const double norm = std::hypot(before.norm(), change_of(folders.a, "layers.0.v").norm());
  CHECK(std::abs(figures["change_error"].get<double>() - (after - before).norm() / norm) < 1e-15);
}

TEST_CASE("adapter_tool warns of an adapter that changes nothing", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> adapter = sample_adapter(1);
  for (auto& [site, module] : adapter.modules) module.mutable_b().setZero();
  write_peft_adapter(folders.a, adapter);
  const std::string warning = "lora_B is zero at every site: the adapter changes nothing";
  for (const std::string& command :
       {"inspect " + folders.a, "compare " + folders.a + " " + folders.b,
        "merge " + folders.out + " " + folders.a + " " + folders.b,
        "convert --force --dtype F32 " + folders.a + " " + folders.c}) {
    const ProgramResult result = run_tool(command);
    CAPTURE(command, result.output);
    CHECK(result.status == 0);
    CHECK(contains(result.output, "warning: "));
    CHECK(contains(result.output, warning));
  }
}

TEST_CASE("adapter_tool converts there and back byte for byte", "[examples][property]") {
  const AdapterFolders folders;
  const std::string wide = GENERATE("F64", "F16", "BF16");  // the sample's numbers fit into each
  (void)folders.found("convert " + folders.a + " " + folders.out + " --dtype " + wide);
  CHECK(weights_of(folders.out) != weights_of(folders.a));
  const json back =
      folders.found("convert " + folders.out + " " + folders.c + " --force --dtype F32");
  CHECK(back["rounded"] == 0);
  CHECK(back["change_error"] == 0);
  CHECK(weights_of(folders.c) == weights_of(folders.a));
  CHECK(config_of(folders.c) == config_of(folders.a));
}

TEST_CASE("adapter_tool merges one adapter into itself byte for byte", "[examples][property]") {
  const AdapterFolders folders;
  // not as the library would write it: other keys, and tensors in another order
  folders.folder.write("a/adapter_config.json",
                       config_with(R"("revision":"main","lora_dropout":0.1)"));
  folders.folder.write("a/adapter_model.safetensors", tensors_with({}));
  const std::string options = GENERATE("", " --rank 2", " --rank 100");
  const json figures =
      folders.found("merge " + folders.out + " " + folders.a + " " + folders.b + ":0" + options);
  CHECK(figures["unchanged"] == true);
  CHECK(figures["error"] == 0);
  CHECK(figures["adapters"] == json{{{"name", "a"}, {"weight", 1.0}}});
  CHECK(weights_of(folders.out) == weights_of(folders.a));
  CHECK(config_of(folders.out) == config_of(folders.a));
}

TEST_CASE("adapter_tool merges by adding the changes up", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> partial;
  partial.modules.emplace("layers.0.v", exact_module(5, 9, 1, 1, 77));
  write_peft_adapter(folders.c, partial, {.dtype = Dtype::F32});
  const json figures = folders.found("merge " + folders.out + " " + folders.a + ":0.5 " +
                                     folders.b + ":-2 " + folders.c);
  CHECK(figures["unchanged"] == false);
  CHECK(figures["dtype"] == "F32");
  CHECK(figures["adapters"][1] == json{{"name", "b"}, {"weight", -2.0}});
  REQUIRE(figures["sites"].size() == 2);
  for (const json& site : figures["sites"]) {
    const auto name = site["name"].get<std::string>();
    const Index out = name == "layers.0.q" ? 7 : 5;
    const Matrix<double> sum = 0.5 * change_of(folders.a, name) - 2 * change_of(folders.b, name) +
                               change_of(folders.c, name, out, 9);
    CHECK(site["rank"] == (name == "layers.0.q" ? 4 : 7));
    CHECK(site["rank"] == site["rank_of_sum"]);
    CHECK(std::abs(site["norm"].get<double>() - sum.norm()) < 1e-13 * sum.norm());
    CHECK((change_of(folders.out, name) - sum).norm() <= 1e-6 * sum.norm());
    CHECK(std::abs(site["error"].get<double>() - (change_of(folders.out, name) - sum).norm()) <
          1e-13 * sum.norm());
  }
  CHECK(contains(config_of(folders.out), "\"base_model_name_or_path\": \"base\""));
}

TEST_CASE("adapter_tool compresses a merge to the nearest of lower rank", "[examples]") {
  const AdapterFolders folders;
  const Index rank = GENERATE(1, 3);
  const json figures = folders.found("merge " + folders.out + " " + folders.a + " " + folders.b +
                                     ":0.25 " + folders.c + " --rank " + std::to_string(rank));
  double all = 0;
  for (const json& site : figures["sites"]) {
    const auto name = site["name"].get<std::string>();
    const Matrix<double> sum =
        change_of(folders.a, name) + 0.25 * change_of(folders.b, name) + change_of(folders.c, name);
    const Vector<double> singular = singular_values_of(sum);
    const double least = singular.tail(singular.size() - rank).norm();
    const double written = (change_of(folders.out, name) - sum).norm();
    all = std::hypot(all, written);
    CHECK(site["rank"] == rank);
    CHECK(std::abs(site["error"].get<double>() - written) < 1e-12 * sum.norm());
    CHECK(std::abs(site["error"].get<double>() - least) < 1e-6 * sum.norm());  // F32 in the file
    CHECK(std::abs(site["relative_error"].get<double>() - written / sum.norm()) < 1e-12);
  }
  CHECK(std::abs(figures["error"].get<double>() - all) < 1e-12 * all);
  const ProgramResult again =
      run_tool("merge " + folders.out + " " + folders.a + " " + folders.b + " --force --rank 2");
  CAPTURE(again.output);
  CHECK(again.status == 0);
  CHECK(contains(again.output, "rank of sum"));
  CHECK(contains(again.output, "all sites"));
}

TEST_CASE("adapter_tool merges heads and dtypes and warns of another base model", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> left = sample_adapter(1);
  Adapter<double> right = sample_adapter(2);
  left.heads["score"] = sample_head(1);
  right.heads["score"] = sample_head(2);
  write_peft_adapter(folders.a, left, {.base_model = "one", .dtype = Dtype::F16});
  write_peft_adapter(folders.b, right, {.base_model = "other", .dtype = Dtype::BF16});
  const json figures = folders.found("merge " + folders.out + " " + folders.a + " " + folders.b);
  CHECK(figures["dtype"] == "F32");  // neither 16-bit type holds the other
  REQUIRE(figures["warnings"].size() == 1);
  CHECK(contains(figures["warnings"][0].get<std::string>(),
                 "is \"other\", expected \"one\" as of the adapters before it"));
  const Adapter<double> merged =
      read_peft_adapter<double>(folders.out, {.heads = {"score"}}).adapter;
  CHECK(merged.heads.at("score").weights ==
        (left.heads["score"].weights + right.heads["score"].weights) / 2);
  CHECK(merged.heads.at("score").bias == RowVector<double>::Constant(3, 1.5));
}

TEST_CASE("adapter_tool compares by the cosine of the changes", "[examples]") {
  const AdapterFolders folders;
  Adapter<double> partial;
  partial.modules.emplace("layers.0.v", exact_module(5, 9, 1, 1, 77));
  write_peft_adapter(folders.c, partial, {.dtype = Dtype::F32});
  const std::string arguments = "compare " + folders.a + " " + folders.b + " " + folders.c;
  const json figures = folders.found(arguments);
  CHECK(figures["adapters"] == json{"a", "b", "c"});
  CHECK(figures["folders"] == json{folders.a, folders.b, folders.c});
  CHECK(figures["common_sites"] == json{{2, 2, 1}, {2, 2, 1}, {1, 1, 1}});
  const std::vector<std::string> paths{folders.a, folders.b, folders.c};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      double product = 0;
      double left = 0;
      double right = 0;
      for (const char* site : {"layers.0.q", "layers.0.v"}) {
        if (std::max(i, j) == 2 && site == std::string("layers.0.q")) continue;
        const Matrix<double> x = change_of(paths[i], site);
        const Matrix<double> y = change_of(paths[j], site);
        product += x.cwiseProduct(y).sum();
        left += x.squaredNorm();
        right += y.squaredNorm();
      }
      CHECK(std::abs(figures["similarity"][i][j].get<double>() -
                     product / std::sqrt(left * right)) < 1e-14);
    }
  }
  const ProgramResult table = run_tool(arguments);
  CAPTURE(table.output);
  CHECK(contains(table.output, "a and c have 1 sites in common, of 2 and 1"));
  const ProgramResult printed = run_tool(arguments + " --json -");
  CHECK(json::parse(printed.output) == figures);  // and nothing beside it
}

TEST_CASE("adapter_tool verifies a checkpoint file by file", "[examples]") {
  const TemporaryFolder folder;
  std::string questions;
  for (const char* task : {"north", "south"}) {
    for (const char* label : {"snow", "sand"}) {
      for (int i = 0; i < 4; ++i) {
        const std::string text = std::string(task) + " " + label + " " + std::to_string(i);
        questions += json{{"text", text},
                          {"task", task},
                          {"label", label},
                          {"split", i == 0 ? "test" : "train"}}
                         .dump() +
                     "\n";
      }
    }
  }
  const std::string state = folder.file("state");
  REQUIRE(run_program(ANYSSR_DEPARTMENTS, "--data " + folder.write("questions.jsonl", questions) +
                                              " --dim 64 --rank 1 --threads 1 --quiet --state " +
                                              state)
              .status == 0);
  const std::string figures_path = folder.file("figures.json");
  const auto verify = [&](int status) {
    const ProgramResult result = run_tool("verify " + state + " --json " + figures_path);
    CAPTURE(result.output);
    CHECK(result.status == status);
    return result.output;
  };
  const std::string whole = verify(0);
  CHECK(contains(whole, "ok       CURRENT\nok       manifest-000002.json\n"));
  CHECK(contains(whole, "ok       router-000002.safetensors\n"));
  CHECK(contains(whole, "generation 2 is whole: 9 files"));
  json figures = read_figures(figures_path);
  CHECK(figures["whole"] == true);
  CHECK(figures["newest_whole_generation"] == 2);
  CHECK(figures["files"].size() == 9);
  CHECK(figures["files"][0] == json{{"path", "CURRENT"}, {"damage", nullptr}});

  const auto spoil = [&](const std::string& name) {
    std::string bytes = file_bytes(state + "/" + name);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
    folder.write("state/" + name, bytes);
  };
  spoil("router-000002.safetensors");
  const std::string damaged = verify(1);
  CHECK(contains(damaged, "damaged  " + state + "/router-000002.safetensors: is damaged"));
  CHECK(contains(damaged, "the checkpoint is damaged; generation 1 is whole"));
  figures = read_figures(figures_path);
  CHECK(figures["whole"] == false);
  CHECK(figures["newest_whole_generation"] == 1);
  spoil("router-000001.safetensors");
  CHECK(contains(verify(1), "the checkpoint is damaged; no generation is whole"));
  CHECK(read_figures(figures_path)["newest_whole_generation"].is_null());
}

TEST_CASE("adapter_tool says that an audit log is intact", "[examples]") {
  const AuditFolder folder;
  const std::string early = folder.append(3);
  const std::string head = folder.append(2);
  const json first = json::parse(folder.lines().front());
  const json last = json::parse(folder.lines().back());
  const ProgramResult result = run_tool("verify-log " + folder.path());
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(result.output ==
        "lines  5 in 1 files\nseq    1 to 5\ntime   " + first["time"].get<std::string>() + " to " +
            last["time"].get<std::string>() + "\nhead   " + head + "\nthe log is intact\n");
  CHECK(run_tool("verify-log " + folder.path() + " --head " + head).status == 0);
  CHECK(run_tool("verify-log --head " + early + " " + folder.path()).status == 0);
  folder.write(folder.bytes() + "{\"v\":1,\"se");
  const ProgramResult torn = run_tool("verify-log " + folder.path());
  CHECK(torn.status == 0);
  CHECK(contains(torn.output, "torn   1\n"));
  const json figures = json::parse(run_tool("verify-log " + folder.path() + " --json -").output);
  CHECK(figures == json{{"log", folder.path()},
                        {"intact", true},
                        {"files", 1},
                        {"lines", 5},
                        {"torn_lines", 1},
                        {"first_seq", 1},
                        {"last_seq", 5},
                        {"first_time", first["time"]},
                        {"last_time", last["time"]},
                        {"head", head},
                        {"break", nullptr}});
}

TEST_CASE("adapter_tool says that the beginning of an audit log is not there", "[examples]") {
  const AuditFolder folder;
  folder.append(3, {.max_file_bytes = 1});
  std::filesystem::remove(folder.file());
  const ProgramResult result = run_tool("verify-log " + folder.path());
  CAPTURE(result.output);
  CHECK(result.status == 0);
  CHECK(contains(result.output, "the log is intact from seq 2 on: what was before is not here\n"));
}

TEST_CASE("adapter_tool says where an audit log was altered", "[examples]") {
  const AuditFolder folder;
  const std::string head = folder.append(5);
  std::vector<std::string> lines = folder.lines();
  lines.pop_back();
  folder.write_lines(lines);
  CHECK(run_tool("verify-log " + folder.path()).status == 0);  // the head alone tells
  const ProgramResult cut = run_tool("verify-log " + folder.path() + " --head " + head);
  CAPTURE(cut.output);
  CHECK(cut.status == 1);
  CHECK(contains(cut.output, "cut    " + folder.file() + ":4: the log ends with "));
  lines.erase(lines.begin() + 1);
  folder.write_lines(lines);
  const std::string figures_path = folder.path() + ".figures.json";  // not among the logs
  const ProgramResult removed = run_tool("verify-log " + folder.path() + " --json " + figures_path);
  CAPTURE(removed.output);
  CHECK(removed.status == 1);
  CHECK(contains(removed.output, "missing " + folder.file() + ":2: seq is 3, expected 2"));
  CHECK(contains(removed.output, "the log is not as it was written"));
  const json figures = read_figures(figures_path);
  CHECK(figures["intact"] == false);
  CHECK(figures["break"]["kind"] == "missing");
  CHECK(figures["break"]["line"] == 2);
  CHECK(figures["break"]["file"] == folder.file());
}

TEST_CASE("adapter_tool says that an audit log without a line is not intact", "[examples]") {
  const AuditFolder folder;
  const std::string head = folder.append(2);
  folder.write("");
  for (const std::string& log : {folder.path(), folder.file(), std::string("/proc/self/mem")}) {
    const ProgramResult result = run_tool("verify-log " + log);
    CAPTURE(log, result.output);
    CHECK(result.status == 1);
    CHECK(contains(result.output, "the log holds no whole line: it is new, or it was wiped"));
    CHECK(json::parse(run_tool("verify-log " + log + " --json -").output)["intact"] == false);
  }
  CHECK(contains(run_tool("verify-log " + folder.path() + " --head " + head).output, "cut "));
  const std::string none = "sha256:" + std::string(64, '0');  // the head of a log that is new
  CHECK(run_tool("verify-log " + folder.path() + " --head " + none).status == 0);
}

TEST_CASE("adapter_tool refuses weights that no model can use", "[examples][error]") {
  const AdapterFolders folders;
  for (const std::string weight : {"1e300", "-1e300", "1e40", "1e-300"}) {
    const std::string entry = folders.a + ":" + weight;
    folders.refuses("merge " + folders.out + " " + entry, "the weights of " + entry + " give");
    folders.refuses("merge " + folders.out + " " + entry + " " + folders.b + ":" + weight,
                    "expected weights whose change fits in float");
  }
}

TEST_CASE("adapter_tool leaves no folder after a failure and takes an empty one", "[examples]") {
  const AdapterFolders folders;
  const auto without_room = [](const std::string& arguments) {
    return run_program(
        "/bin/sh", "-c 'ulimit -f 0; " + adapter_tool_program + " " + arguments + " >/dev/null'");
  };
  for (const std::string& command : {"convert --dtype F32 " + folders.a + " " + folders.out,
                                     "merge " + folders.out + " " + folders.a,
                                     "merge " + folders.out + " " + folders.a + " " + folders.b}) {
    CAPTURE(command);
    CHECK(without_room(command).status == 2);
    CHECK_FALSE(std::filesystem::exists(folders.out));
    std::filesystem::create_directory(folders.out);
    CHECK(run_tool(command).status == 0);
    CHECK(run_tool(command).status == 2);  // it is not empty any more
    std::filesystem::remove_all(folders.out);
  }
}

TEST_CASE("adapter_tool refuses an audit log that is none with status 2", "[examples][error]") {
  const AuditFolder folder;
  const ProgramResult missing = run_tool("verify-log " + folder.path());
  CHECK(missing.status == 2);
  CHECK(contains(missing.output, "log: cannot be searched for an audit log"));
  std::filesystem::create_directory(folder.path());
  const ProgramResult empty = run_tool("verify-log " + folder.path());
  CHECK(empty.status == 2);
  CHECK(contains(empty.output, "log: holds no audit log, expected 000001.jsonl"));
  folder.append(1);
  const ProgramResult head = run_tool("verify-log " + folder.path() + " --head 77");
  CHECK(head.status == 2);
  CHECK(contains(head.output, "--head is \"77\", expected sha256: and 64 digits of 0-9a-f"));
}

TEST_CASE("adapter_tool refuses wrong input with status 2", "[examples][error]") {
  const AdapterFolders folders;
  const std::string a = " " + folders.a;
  const std::string b = " " + folders.b;
  const std::string out = " " + folders.out;
  const std::string missing = " " + folders.folder.file("missing");
  const auto refused = [&](const std::string& arguments, const std::string& reason) {
    folders.refuses(arguments, reason);
  };
  refused("",
          "there is no command, expected list, inspect, convert, merge, compare, verify or "
          "verify-log");
  refused("melt", "melt");
  refused("inspect" + a + " --nonsense", "--nonsense");
  refused("list", "FOLDER is required");
  refused("list" + missing, "missing: is no folder");
  refused("inspect" + missing, "missing: is no folder");
  refused("inspect" + a + "/adapter_config.json", "is no folder");
  std::filesystem::create_directory(folders.folder.file("empty"));
  refused("list " + folders.folder.file("empty"), "empty: holds no adapter");
  refused("inspect " + folders.folder.file("empty"), "adapter_config.json: cannot be opened");
  refused("verify " + folders.folder.file("empty"), "holds no checkpoint");
  folders.folder.write("empty/adapter_config.json", config_of(folders.a));
  folders.folder.write("empty/adapter_model.bin", "PK");
  refused("inspect " + folders.folder.file("empty"),
          "no pickle is read here, since it can run code");
  refused("merge" + out + a + " " + folders.folder.file("empty"), "is a pickle");

  refused("convert" + a + out, "--dtype is required");
  refused("convert" + a + out + " --dtype f16",
          "--dtype is 'f16', expected one of F64, F32, F16, BF16");
  refused("convert" + a + out + " --dtype I32", "--dtype is 'I32'");
  refused("convert" + a + b + " --dtype F16", "b', which is there already, expected a new folder");
  refused("convert" + a + " " + folders.folder.file("no/such") + " --dtype F16", "no/such");
  refused("merge" + b + a, "b', which is there already");
  refused("merge" + out, "is required");
  refused("merge" + out + a + ":much", "is 'much', expected a finite number");
  refused("merge" + out + a + ":", "is '', expected a finite number");
  refused("merge" + out + a + ":1x", "is '1x', expected a finite number");
  refused("merge" + out + a + ":inf", "is 'inf', expected a finite number");
  refused("merge" + out + a + ":1e999", "is '1e999', expected a finite number");
  refused("merge" + out + missing + ":2", "missing: is no folder");
  refused("merge" + out + a + ":0", "the weights are all 0");
  refused("merge" + out + a + " --rank 0", "--rank is 0, expected at least 1");
  refused("merge" + out + a + " --rank two", "--rank");
  refused("compare" + a, "there is 1 folder to compare, expected at least 2");
  refused("compare nosuch:x" + b, "nosuch:x: is no folder");
  refused("compare" + a + b + " --json " + folders.folder.file("no/such.json"),
          "cannot be written");

  Adapter<double> wider;
  wider.modules.emplace("layers.0.q", exact_module(7, 10, 2, 4, 1));
  write_peft_adapter(folders.c, wider);
  const std::string mismatch =
      "c: site \"layers.0.q\" is 7 x 10, expected 7 x 9 as in " + folders.a;
  refused("merge" + out + a + " " + folders.c, mismatch);
  refused("compare" + a + b + " " + folders.c, mismatch);
  wider.modules.at("layers.0.q").mutable_a()(0, 0) = 1e6;
  write_peft_adapter(folders.c, wider);
  refused("convert " + folders.c + out + " --dtype F16",
          "holds a number of magnitude 1e+06, which F16 cannot hold");
}

TEST_CASE("adapter_tool works on the adapters of a language model", "[examples]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  const AdapterFolders folders;
  const std::string path = std::string(extra) + "/models/tiny-llama/adapters";
  const json all = folders.found("list '" + path + "'");
  REQUIRE(all["adapters"].size() == 3);
  CHECK(all["adapters"][1]["name"] == "banking");
  CHECK(all["adapters"][1]["sites"] == 8);
  CHECK(all["adapters"][1]["ranks"] == json{8});
  CHECK(all["adapters"][1]["parameters"] == 20480);
  CHECK(all["adapters"][1]["base_model"] == "tiny-llama");
  const std::string banking = path + "/banking";
  const json sites = folders.found("inspect '" + banking + "'")["sites"];
  CHECK(sites[0]["name"] == "model.layers.4.self_attn.q_proj");
  CHECK(sites[0]["scale"] == 2.0);
  CHECK(folders.found("merge " + folders.out + " '" + banking + "'")["unchanged"] == true);
  CHECK(weights_of(folders.out) == weights_of(banking));
  CHECK(config_of(folders.out) == config_of(banking));
  // the library writes the same bytes by itself
  (void)folders.found("merge " + folders.out + " '" + banking + "':2 --force");
  const json halved = folders.found("merge " + folders.c + " " + folders.out + ":0.5 --force");
  CHECK(halved["relative_error"] == 0.0);
  CHECK(weights_of(folders.c) == weights_of(banking));
  const json similar = folders.found("compare '" + path + "'/*")["similarity"];
  CHECK(similar[0][0].get<double>() > 1 - 1e-12);
  CHECK(std::abs(similar[0][1].get<double>()) < 0.1);
  const json half =
      folders.found("convert '" + banking + "' " + folders.folder.file("half") + " --dtype F16");
  CHECK(half["became_zero"] == 0);
  CHECK(half["change_error"].get<double>() < 1e-3);
}
