// SPDX-License-Identifier: MIT
#include "anyssr/io/peft_adapter.hpp"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/malformed_peft.hpp"
#include "support/numeric.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

template <class S>
LoraModule<S> random_module(Index in, Index out, const LoraOptions& options, std::uint64_t seed) {
  return LoraModule<S>(random_normal<S>(options.rank, in, seed, 1),
                       random_normal<S>(out, options.rank, seed, 2), options);
}

/// Two sites and two heads.
template <class S>
Adapter<S> random_adapter(std::uint64_t seed) {
  Adapter<S> adapter;
  adapter.modules.emplace("layers.0.q", random_module<S>(5, 4, {.rank = 2, .alpha = 3}, seed));
  adapter.modules.emplace("layers.0.v", random_module<S>(5, 3, {.rank = 2, .alpha = 3}, seed + 1));
  adapter.heads["score"] = {.weights = random_normal<S>(6, 3, seed, 3),
                            .bias = random_normal<S>(1, 3, seed, 4)};
  adapter.heads["base.top"] = {.weights = random_normal<S>(2, 7, seed, 5),
                               .bias = RowVector<S>::Zero(7)};
  return adapter;
}

const std::string zero_warning =
    "lora_B is zero at every site: the adapter changes nothing, as before training";

const PeftReadOptions two_heads{.heads = {"base.top", "score"}};

std::string folder_bytes(const std::string& folder) {
  return file_bytes(folder + "/adapter_config.json") + '\0' +
         file_bytes(folder + "/adapter_model.safetensors");
}

/// A folder of the files that it is made with.
struct PeftFiles {
  TemporaryFolder folder;
  std::string path = folder.file(".");

  PeftFiles(const std::string& config, const std::string& tensors) {
    path = path.substr(0, path.size() - 2);
    folder.write("adapter_config.json", config);
    folder.write("adapter_model.safetensors", tensors);
  }
};

template <class S>
void check_scales(const Adapter<S>& read, const Adapter<S>& written) {
  REQUIRE(read.modules.size() == written.modules.size());
  for (const auto& [site, module] : written.modules) {
    CAPTURE(site, module.rank(), module.alpha());
    CHECK(read.modules.at(site).scale() == module.scale());
    CHECK(read.modules.at(site).rank() == module.rank());
    CHECK_FALSE(read.modules.at(site).rank_stabilised());
  }
}

}  // namespace

TEMPLATE_TEST_CASE("an adapter that is written is read again bit for bit", "[io][property]", float,
                   double) {
  const auto seed = GENERATE(range(1u, 6u));
  const TemporaryFolder folder;
  const Adapter<TestType> adapter = random_adapter<TestType>(seed);
  const std::string path = folder.file("a");
  write_peft_adapter(path, adapter, {.base_model = "base", .task_type = "CAUSAL_LM"});
  const PeftAdapter<TestType> read = read_peft_adapter<TestType>(path, two_heads);
  CHECK(read.adapter == adapter);
  CHECK(read.report.warnings.empty());
  CHECK(read.report.dtype == dtype_of<TestType>());
  CHECK(read.report.config ==
        peft_config_of(adapter, {.base_model = "base", .task_type = "CAUSAL_LM"}));
  const std::string bytes = folder_bytes(path);
  write_peft_adapter(path, read.adapter, {.base_model = "base", .task_type = "CAUSAL_LM"});
  CHECK(folder_bytes(path) == bytes);
}

TEST_CASE("the files of an adapter are the ones that PEFT names", "[io][golden]") {
  Adapter<float> adapter;
  adapter.modules.emplace("m.q",
                          LoraModule<float>(Matrix<float>{{1, 2, 3}}, Matrix<float>{{4}, {5}},
                                            {.rank = 1, .alpha = 2}));
  adapter.heads["top"] = {.weights = Matrix<float>{{1, 2}, {3, 4}, {5, 6}},
                          .bias = RowVector<float>{{7, 8}}};
  const TemporaryFolder folder;
  write_peft_adapter(folder.file("a"), adapter, {.base_model = "b", .task_type = "SEQ_CLS"});
  CHECK(file_bytes(folder.file("a/adapter_config.json")) == R"({
  "base_model_name_or_path": "b",
  "inference_mode": true,
  "lora_alpha": 2,
  "modules_to_save": [
    "top"
  ],
  "peft_type": "LORA",
  "r": 1,
  "target_modules": [
    "m.q"
  ],
  "task_type": "SEQ_CLS"
}
)");
  const SafetensorsReader file(folder.file("a/adapter_model.safetensors"));
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  CHECK(file.tensors().size() == 4);
  CHECK(file.matrix<float>("base_model.model.m.q.lora_A.weight") ==
        RowMajorMatrix<float>{{1, 2, 3}});
  CHECK(file.matrix<float>("base_model.model.m.q.lora_B.weight") ==
        RowMajorMatrix<float>{{4}, {5}});
  CHECK(file.matrix<float>("base_model.model.top.weight") ==
        RowMajorMatrix<float>{{1, 3, 5}, {2, 4, 6}});
  CHECK(file.vector<float>("base_model.model.top.bias") == Vector<float>{{7, 8}});
}

TEST_CASE("ranks and alphas that differ come back by the patterns", "[io][property]") {
  // names that end in one another, or are told apart by a dot only
  const std::vector<std::string> sites{"lift",  "x.lift", "y.x.lift", "a.b", "a_b", "z.a_b",
                                       "x.a.b", "a.",     "ab",       "b",   "b.b", "b-b"};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    RandomStream random(seed);
    Adapter<float> adapter;
    for (const std::string& site : sites) {
      if (random.uniform() < 0.2F) continue;
      const LoraOptions options{.rank = 1 + random.below(3), .alpha = 1.0 + random.below(2)};
      adapter.modules.emplace(site, random_module<float>(3, 3, options, seed));
    }
    const TemporaryFolder folder;
    write_peft_adapter(folder.file("a"), adapter);
    CHECK(read_peft_adapter<float>(folder.file("a")).adapter == adapter);
  }
}

TEST_CASE("patterns hold the sites that differ and no others", "[io]") {
  Adapter<float> adapter;
  adapter.modules.emplace("a.q", random_module<float>(3, 3, {.rank = 2, .alpha = 4}, 1));
  adapter.modules.emplace("b.q", random_module<float>(3, 3, {.rank = 2, .alpha = 4}, 2));
  adapter.modules.emplace("c.q", random_module<float>(3, 3, {.rank = 1, .alpha = 4}, 3));
  adapter.modules.emplace("d.q", random_module<float>(3, 3, {.rank = 2, .alpha = 5.5}, 4));
  const PeftConfig config = peft_config_of(adapter);
  CHECK(config.rank == 2);
  CHECK(config.alpha == 4);
  CHECK(config.rank_pattern == std::vector<std::pair<std::string, Index>>{{"c.q", 1}});
  CHECK(config.alpha_pattern == std::vector<std::pair<std::string, double>>{{"d.q", 5.5}});
  CHECK(*config.target_modules == std::vector<std::string>{"a.q", "b.q", "c.q", "d.q"});
}

TEST_CASE("a rank-stabilised module keeps its scale without the flag", "[io][property]") {
  const TemporaryFolder folder;
  int same = 0;
  for (Index rank = 1; rank <= 64; ++rank) {
    const double alpha = 1 + static_cast<double>(rank % 7) / 3;
    const LoraModule<float> module =
        random_module<float>(3, 2, {.rank = rank, .alpha = alpha, .rank_stabilised = true}, 1);
    const double written = detail::plain_alpha(module);
    const double scale = written / static_cast<double>(rank);
    CAPTURE(rank, alpha);
    CHECK(std::abs(scale - module.scale()) <= round_off<double>(1) * module.scale());
    CHECK(static_cast<float>(scale) == static_cast<float>(module.scale()));
    same += scale == module.scale() ? 1 : 0;
    const double r = static_cast<double>(rank);
    for (const double other : {std::nextafter(written, 0), std::nextafter(written, 1e9)}) {
      CHECK(std::abs(other / r - module.scale()) >= std::abs(scale - module.scale()));
    }
  }
  CHECK(same > 50);
  Adapter<double> adapter;
  for (const Index rank : {1, 4, 16}) {  // whose roots are whole
    adapter.modules.emplace(
        "s" + std::to_string(rank),
        random_module<double>(3, 2, {.rank = rank, .alpha = 8.3, .rank_stabilised = true}, 7));
  }
  write_peft_adapter(folder.file("a"), adapter);
  CHECK_FALSE(contains(file_bytes(folder.file("a/adapter_config.json")), "use_rslora"));
  check_scales(read_peft_adapter<double>(folder.file("a")).adapter, adapter);
}

TEST_CASE("use_rslora of a foreign adapter is applied and kept", "[io]") {
  const PeftFiles files(config_with(R"("use_rslora":true)"), tensors_with({}));
  const auto adapter = read_peft_adapter<double>(files.path).adapter;
  CHECK(adapter.modules.at("layers.0.q").rank_stabilised());
  CHECK(adapter.modules.at("layers.0.q").scale() == 4 / std::sqrt(2.0));
}

TEST_CASE("a confined module is written with its effective A", "[io]") {
  const RowMajorMatrix<float> basis =
      orthonormal_columns_of(random_normal<double>(6, 3, 1)).cast<float>();
  LoraModule<float> module(random_normal<float>(2, 3, 2), random_normal<float>(4, 2, 3), basis,
                           {.rank = 2, .alpha = 5});
  Adapter<float> adapter;
  adapter.modules.emplace("q", module);
  const TemporaryFolder folder;
  write_peft_adapter(folder.file("a"), adapter);
  module.materialise();
  CHECK(read_peft_adapter<float>(folder.file("a")).adapter.modules.at("q") == module);
}

TEST_CASE("adapters without modules or without anything come back", "[io]") {
  const TemporaryFolder folder;
  Adapter<float> adapter;
  write_peft_adapter(folder.file("a"), adapter);
  const PeftAdapter<float> empty = read_peft_adapter<float>(folder.file("a"));
  CHECK(empty.adapter == adapter);
  CHECK_FALSE(empty.report.dtype);
  adapter.heads["trained"] = {.weights = random_normal<float>(3, 2, 1),
                              .bias = random_normal<float>(1, 2, 2)};
  write_peft_adapter(folder.file("a"), adapter);
  CHECK(read_peft_adapter<float>(folder.file("a"), {.heads = {"trained"}}).adapter == adapter);
}

TEST_CASE("a head without a bias in the file has one of zeros", "[io]") {
  const PeftFiles files(config_with(R"("modules_to_save":["classifier","score"])"),
                        tensors_with({{"base_model.model.model.score.weight", {5, 3}}}));
  const PeftAdapter<float> read = read_peft_adapter<float>(files.path, {.heads = {"model.score"}});
  const Head<float>& head = read.adapter.heads.at("model.score");
  CHECK(head.in_dim() == 3);
  CHECK(head.out_dim() == 5);
  CHECK(head.bias == RowVector<float>::Zero(5));
  CHECK(head.temperature == 1);
  CHECK(head.trained);
  CHECK(
      read.report.warnings ==
      std::vector<std::string>{"modules_to_save names \"classifier\", which no tensor belongs to"});
}

TEST_CASE("a temperature does not change what is written", "[io]") {
  const TemporaryFolder folder;
  Adapter<float> adapter = random_adapter<float>(1);
  write_peft_adapter(folder.file("a"), adapter);
  adapter.heads.at("score").temperature = 3;
  adapter.heads.at("score").trained = false;
  adapter.metadata["note"] = "text";
  write_peft_adapter(folder.file("b"), adapter);
  CHECK(folder_bytes(folder.file("a")) == folder_bytes(folder.file("b")));
}

TEST_CASE("narrow types round once and refuse what they cannot hold", "[io]") {
  const TemporaryFolder folder;
  Adapter<double> adapter = random_adapter<double>(3);
  for (const Dtype dtype : {Dtype::F32, Dtype::F16, Dtype::BF16}) {
    write_peft_adapter(folder.file("a"), adapter, {.dtype = dtype});
    const PeftAdapter<double> read = read_peft_adapter<double>(folder.file("a"), two_heads);
    CHECK(read.report.dtype == dtype);
    const double eps = dtype == Dtype::F32 ? 0x1p-24 : dtype == Dtype::F16 ? 0x1p-11 : 0x1p-8;
    const Matrix<double>& a = read.adapter.modules.at("layers.0.q").a();
    const Matrix<double>& exact = adapter.modules.at("layers.0.q").a();
    CHECK(((a - exact).array().abs() <= eps * exact.array().abs() + 0x1p-25).all());
  }
  const std::string bytes = folder_bytes(folder.file("a"));
  const auto message = [&](double number, Dtype dtype) {
    adapter.modules.at("layers.0.v").mutable_b()(1, 0) = number;
    return message_of<ArgumentError>(
        [&] { write_peft_adapter(folder.file("a"), adapter, {.dtype = dtype}); });
  };
  const std::string tensor = "\"base_model.model.layers.0.v.lora_B.weight\" holds ";
  CHECK(message(65520, Dtype::F16) ==
        tensor + "a number of magnitude 65520, which F16 cannot hold");
  CHECK(message(-1e39, Dtype::BF16) ==
        tensor + "a number of magnitude 1e+39, which BF16 cannot hold");
  CHECK(message(1e39, Dtype::F32) == tensor + "a number of magnitude 1e+39, which F32 cannot hold");
  CHECK(message(1, Dtype::I32) == "dtype is I32, expected one of F64, F32, F16, BF16");
  CHECK(folder_bytes(folder.file("a")) == bytes);
  CHECK(message(65519, Dtype::F16) == "nothing was thrown");
  const double nan = std::nan("");
  adapter.modules.at("layers.0.v").mutable_b()(1, 0) = nan;
  CHECK(message_of<NonFiniteError>([&] { write_peft_adapter(folder.file("a"), adapter); }) ==
        tensor.substr(0, tensor.size() - 6) +
            "hold NaN or infinity at row 1, column 0, expected finite numbers");
  CHECK(message_of<FormatError>([&] {
          Adapter<double> wide = random_adapter<double>(3);
          wide.modules.at("layers.0.v").mutable_b()(0, 0) = 1e300;
          write_peft_adapter(folder.file("b"), wide);
          (void)read_peft_adapter<float>(folder.file("b"), two_heads);
        }) == folder.file("b/adapter_model.safetensors") +
                  ": tensor \"base_model.model.layers.0.v.lora_B.weight\" holds NaN, infinity or a "
                  "number too large at element 0, expected finite numbers");
}

TEST_CASE("an adapter that could not be read again is not written", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  const auto message = [&](const std::vector<std::pair<std::string, Index>>& sites,
                           const std::string& head) {
    Adapter<float> adapter;
    for (const auto& [site, rank] : sites) {
      adapter.modules.emplace(site, random_module<float>(2, 2, {.rank = rank}, 1));
    }
    if (!head.empty()) {
      adapter.heads[head] = {.weights = Matrix<float>::Ones(1, 1),
                             .bias = RowVector<float>::Zero(1)};
    }
    return message_of<ArgumentError>([&] { write_peft_adapter(path, adapter); });
  };
  CHECK(contains(message({{"", 1}}, ""), "module \"\" cannot be written: "));
  CHECK(contains(message({{"a.lora_A", 1}}, ""), "module \"a.lora_A\" cannot be written: "));
  CHECK(contains(message({{"a.base_layer", 1}}, ""), "is of the base model"));
  CHECK(contains(message({{std::string(513, 'a'), 1}}, ""), "expected at most 512"));
  CHECK(contains(message({{"a", 1}}, "b.lora_B"), "module \"b.lora_B\" cannot be written: "));
  CHECK(contains(message({{"a\xFF", 1}}, ""), "expected UTF-8"));
  CHECK(message({{"a(b", 1}}, "") == "nothing was thrown");
  CHECK(message({{"a(b", 1}, {"c", 2}, {"d", 2}}, "") ==
        "site \"a(b\" needs a key for its rank, which cannot be written: its name would be read "
        "as a pattern");
  // the key "x" would match them too, so they need keys of their own
  CHECK(message({{"x", 2}, {"a(b.x", 1}, {"c", 1}}, "") ==
        "site \"a(b.x\" needs a key for its rank, which cannot be written: its name would be read "
        "as a pattern");
  CHECK(contains(message({{"x", 2}, {"a+.x", 1}, {"c", 1}}, ""), "site \"a+.x\" needs a key"));
  // the first key matches all sites of the usual rank, and the second one is no pattern all the
  // same
  CHECK(contains(message({{"x", 2}, {"a.x", 1}, {"b.x", 1}, {"\xC3\xA4", 3}}, ""),
                 "sites cannot be told apart by patterns: "));
  CHECK(contains(message({{"\xC3\xA4", 2}, {"a", 1}, {"b", 1}}, ""),
                 "sites cannot be told apart by patterns: "));
  Adapter<float> adapter;
  adapter.heads["top"] = {.weights = Matrix<float>::Ones(2, 3), .bias = RowVector<float>::Zero(2)};
  CHECK(message_of<ShapeError>([&] { write_peft_adapter(path, adapter); }) ==
        "head \"top\" is 2 x 3 with 2 biases, expected sizes above 0 and 3");
  CHECK(message_of<ArgumentError>([&] {
          write_peft_adapter(path, Adapter<float>(), {.base_model = "\xFF"});
        }) == "base_model is \"\xEF\xBF\xBD\", expected UTF-8");
  CHECK(message_of<ArgumentError>([&] {
          write_peft_adapter(path, Adapter<float>(), {.revision = "\xFF"});
        }) == "revision is \"\xEF\xBF\xBD\", expected UTF-8");
  CHECK(message_of<ArgumentError>([&] {
          write_peft_adapter(path, Adapter<float>(), {.task_type = "\xFF"});
        }) == "task_type is \"\xEF\xBF\xBD\", expected UTF-8");
  Adapter<double> wide;
  wide.modules.emplace(
      "a",
      random_module<double>(
          2, 2, {.rank = 4, .alpha = std::numeric_limits<double>::max(), .rank_stabilised = true},
          1));
  CHECK(message_of<ArgumentError>([&] { write_peft_adapter(path, wide); }) ==
        "alpha of \"a\" is inf, expected a finite number above 0");
}

TEST_CASE("a folder is made but not those above it", "[io][error]") {
  const TemporaryFolder folder;
  const Adapter<float> adapter = random_adapter<float>(1);
  CHECK(message_of<FileError>([&] { write_peft_adapter(folder.file("a/b"), adapter); }) ==
        folder.file("a/b") + ": cannot be made: No such file or directory");
  const std::string file = folder.write("file", "");
  CHECK(contains(message_of<FileError>([&] { write_peft_adapter(file, adapter); }), file));
  write_peft_adapter(folder.file("a"), adapter);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.file("a")), {}) == 2);
}

TEST_CASE("malformed folders are refused with their reason", "[io][error]") {
  const std::vector<MalformedPeft> cases = malformed_peft_folders();
  CHECK(cases.size() > 100);
  std::set<std::string> names;
  for (const MalformedPeft& c : cases) {
    CAPTURE(c.name);
    CHECK(names.insert(c.name).second);
    keep_for_fuzzing("adapter_config", c.config);
    keep_for_fuzzing("safetensors", c.tensors);
    const PeftFiles files(c.config, c.tensors);
    CHECK(message_of<FormatError>([&] {
            (void)read_peft_adapter<float>(files.path, malformed_peft_options());
          }) == files.path + "/" + c.message);
  }
  const PeftFiles sound(config_with(""), tensors_with({}));
  const auto read = read_peft_adapter<float>(sound.path, malformed_peft_options());
  CHECK(read.adapter.modules.size() == 1);
  CHECK(read.report.warnings == std::vector<std::string>{zero_warning});
}

TEST_CASE("a pickle is refused and missing files are named", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("");
  const auto read = [&] { (void)read_peft_adapter<float>(path); };
  CHECK(message_of<FileError>(read) ==
        folder.file("adapter_config.json") + ": cannot be opened: No such file or directory");
  folder.write("adapter_config.json", config_with(""));
  CHECK(message_of<FileError>(read) ==
        folder.file("adapter_model.safetensors") + ": cannot be opened: No such file or directory");
  folder.write("adapter_model.bin", "PK");
  CHECK(message_of<FormatError>(read) ==
        folder.file("adapter_model.bin") +
            ": is a pickle, expected adapter_model.safetensors: " + detail::convert_pickle);
  folder.write("adapter_model.safetensors", tensors_with({}));
  CHECK(message_of<FormatError>(read) == "nothing was thrown");
}

TEST_CASE("what may be a mistake is a warning", "[io]") {
  const auto warnings = [](const std::string& config, const std::vector<ZeroTensor>& more,
                           const std::string& base_model) {
    const PeftFiles files(config, tensors_with(more));
    return read_peft_report(files.path, {.base_model = base_model}).warnings;
  };
  const auto config = [](const std::string& targets) {
    return R"({"peft_type":"LORA","r":2,"base_model_name_or_path":"/models/x","target_modules":)" +
           targets + "}";
  };
  using Texts = std::vector<std::string>;
  CHECK(warnings(config(R"(["q"])"), {}, "").empty());
  CHECK(warnings(config(R"(["0.q"])"), {}, "/models/x").empty());
  CHECK(warnings(config(R"(["layers.0.q"])"), {}, "").empty());
  CHECK(warnings(config("\"all-linear\""), {}, "").empty());
  CHECK(warnings(config("null"), {}, "").empty());
  CHECK(warnings(config(R"(["q"])"), {}, "y") ==
        Texts{"the base model is \"/models/x\", expected \"y\""});
  CHECK(warnings(config(R"(["q","k","ers.0.q"])"), {}, "") ==
        Texts{"target_modules names \"ers.0.q\", \"k\", which no tensor belongs to"});
  std::vector<ZeroTensor> six;
  for (const std::string site : {"b", "c", "d", "e", "f", "g"}) {
    six.push_back({"base_model.model." + site + ".lora_A.weight", {2, 3}});
    six.push_back({"base_model.model." + site + ".lora_B.weight", {4, 2}});
  }
  CHECK(
      warnings(config(R"(["q"])"), six, "") ==
      Texts{"target_modules names none of the sites \"b\", \"c\", \"d\", \"e\", \"f\" and 1 more"});
}

TEST_CASE("a key of a pattern that decides nothing is a warning", "[io]") {
  const PeftFiles files(config_with(R"("rank_pattern":{"zz":4,"layers\\.[1-9]":4},)"
                                    R"("alpha_pattern":{"q":3,"layers.0.q":5})"),
                        tensors_with({}));
  std::vector<std::string> printed;
  const auto sink = [&](const std::string& message) { printed.push_back(message); };
  const PeftReport report = read_peft_report(files.path, {.warn = sink});
  const std::string reason =
      " no effect: no site of the adapter matches, or an earlier key does already";
  CHECK(report.warnings ==
        std::vector<std::string>{"rank_pattern: \"zz\", \"layers\\\\.[1-9]\" have" + reason,
                                 "alpha_pattern: \"layers.0.q\" has" + reason});
  CHECK(report.sites.at(0).options.alpha == 3);
  const std::string place = files.path + "/adapter_config.json: ";
  CHECK(printed ==
        std::vector<std::string>{place + report.warnings[0], place + report.warnings[1]});
}

TEST_CASE("an adapter that changes nothing is a warning", "[io]") {
  const TemporaryFolder folder;
  const auto warnings = [&](const Adapter<float>& adapter) {
    write_peft_adapter(folder.file("a"), adapter);
    std::vector<std::string> printed;
    const auto sink = [&](const std::string& message) { printed.push_back(message); };
    PeftReadOptions options = two_heads;
    options.warn = sink;
    (void)read_peft_adapter<float>(folder.file("a"), options);
    return printed;
  };
  Adapter<float> adapter = random_adapter<float>(4);
  adapter.modules.at("layers.0.q").mutable_b().setZero();
  CHECK(warnings(adapter).empty());  // the other site changes something
  adapter.modules.at("layers.0.v").mutable_b().setZero();
  CHECK(warnings(adapter).empty());  // the heads change something
  const auto heads = std::exchange(adapter.heads, {});
  CHECK(warnings(adapter) ==
        std::vector<std::string>{folder.file("a/adapter_model.safetensors: ") + zero_warning});
  adapter.modules.at("layers.0.v").mutable_b()(0, 0) = -1e-30F;
  CHECK(warnings(adapter).empty());
  adapter.modules.at("layers.0.v").mutable_a().setZero();
  CHECK(warnings(adapter).empty());  // B was trained
  adapter.modules.at("layers.0.q").mutable_a().setZero();
  adapter.modules.at("layers.0.q").mutable_b().setOnes();
  CHECK(warnings(adapter) ==
        std::vector<std::string>{folder.file("a/adapter_model.safetensors: ") +
                                 "lora_A is zero at every site: the adapter changes nothing"});
  adapter.modules.clear();
  adapter.heads = heads;
  CHECK(warnings(adapter).empty());  // heads alone
}

TEST_CASE("fan_in_fan_out on linear layers is a warning where the model is known", "[io]") {
  const PeftFiles files(config_with(R"("fan_in_fan_out":true)"), tensors_with({}));
  CHECK(read_peft_report(files.path).warnings.empty());
  const auto warnings = read_peft_report(files.path, {.sites = {{"layers.0.q", 3, 4}}}).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(
      warnings[0].starts_with("fan_in_fan_out is true, which is for layers that are stored in x"));
}

TEST_CASE("files of mixed types report the narrowest that holds all of them", "[io]") {
  const auto dtype = [](const std::string& b, std::size_t bytes) {
    const std::string header =
        "{" + safetensors_entry(prefix_of_q + "lora_A.weight", "BF16", "[2,3]", 0, 12) + "," +
        safetensors_entry(prefix_of_q + "lora_B.weight", b, "[4,2]", 12, 12 + 8 * bytes) + "}";
    const PeftFiles files(config_with(""),
                          safetensors_bytes(header, std::string(12 + 8 * bytes, '\0')));
    return read_peft_adapter<float>(files.path).report.dtype;
  };
  CHECK(dtype("F64", 8) == Dtype::F64);
  CHECK(dtype("BF16", 2) == Dtype::BF16);
  CHECK(dtype("F16", 2) == Dtype::F32);
}

TEST_CASE("the report names sites and heads with their shapes and bytes", "[io]") {
  const PeftFiles files(config_with(R"("modules_to_save":["score"],"alpha_pattern":{"v":6})"),
                        tensors_with({{"base_model.model.layers.0.v.lora_A.weight", {2, 3}},
                                      {"base_model.model.layers.0.v.lora_B.weight", {5, 2}},
                                      {"base_model.model.score.weight", {7, 3}},
                                      {"base_model.model.score.bias", {7}},
                                      {"base_model.model.x.score.weight", {2, 3}}}));
  const PeftReport report = read_peft_report(files.path, {.any_head = true});
  REQUIRE(report.sites.size() == 2);
  CHECK(report.sites[0].name == "layers.0.q");
  CHECK(report.sites[0].in == 3);
  CHECK(report.sites[0].out == 4);
  CHECK(report.sites[0].bytes == 4 * (2 * 3 + 4 * 2));
  CHECK(report.sites[1].options.rank == 2);
  CHECK(report.sites[1].options.alpha == 6);
  REQUIRE(report.heads.size() == 2);
  CHECK(report.heads[0].name == "score");
  CHECK(report.heads[0].in == 3);
  CHECK(report.heads[0].out == 7);
  CHECK(report.heads[0].has_bias);
  CHECK(report.heads[0].bytes == 4 * (7 * 3 + 7));
  CHECK_FALSE(report.heads[1].has_bias);
  CHECK(report.heads[1].bytes == 4 * 2 * 3);
  CHECK(report.file_bytes == file_bytes(files.path + "/adapter_model.safetensors").size());
  const auto read = read_peft_adapter<float>(files.path, {.any_head = true});
  CHECK(read.adapter.heads.size() == 2);
  CHECK(read.report.sites.size() == 2);
}

TEST_CASE("a report reads no number", "[io]") {
  std::string bytes = tensors_with({});
  bytes.replace(bytes.size() - 4, 4, little_endian(0x7FC00000, 4));  // NaN
  const PeftFiles files(config_with(""), bytes);
  CHECK(read_peft_report(files.path).sites.size() == 1);
  CHECK(message_of<FormatError>([&] { (void)read_peft_adapter<float>(files.path); }) !=
        "nothing was thrown");
}

TEST_CASE("where any head is taken a saved module must have tensors", "[io][error]") {
  const auto message = [](const std::string& saved, const std::vector<ZeroTensor>& more) {
    const PeftFiles files(config_with("\"modules_to_save\":" + saved), tensors_with(more));
    const std::string text =
        message_of<FormatError>([&] { (void)read_peft_report(files.path, {.any_head = true}); });
    return text.starts_with(files.path) ? text.substr(files.path.size() + 1) : text;
  };
  const std::vector<ZeroTensor> score{{"base_model.model.score.weight", {5, 3}}};
  CHECK(message(R"(["score"])", score) == "nothing was thrown");
  CHECK(message(R"(["classifier","score"])", score) == "nothing was thrown");
  CHECK(message(R"(["score"])", {}) ==
        "adapter_config.json: modules_to_save names \"score\", expected a module with tensors");
  CHECK(message("null", score) ==
        "adapter_model.safetensors: tensor \"base_model.model.score.weight\" is used by nothing: "
        "modules_to_save does not name \"score\"");
}

TEST_CASE("a scale that the numbers cannot hold is refused", "[io][error]") {
  const PeftFiles files(R"({"peft_type":"LORA","r":2,"lora_alpha":1e300,"target_modules":["q"]})",
                        tensors_with({}));
  CHECK(message_of<FormatError>([&] { (void)read_peft_adapter<float>(files.path); }) ==
        files.path +
            "/adapter_config.json: the scale of site \"layers.0.q\" is 5e+299, expected "
            "at most 3.40282e+38");
  CHECK(read_peft_adapter<double>(files.path).adapter.modules.at("layers.0.q").scale() == 5e299);
}

TEST_CASE("the revision of the base model is written where one is given", "[io]") {
  const TemporaryFolder folder;
  const Adapter<float> adapter = random_adapter<float>(1);
  write_peft_adapter(folder.file("a"), adapter, {.base_model = "b"});
  CHECK_FALSE(contains(file_bytes(folder.file("a/adapter_config.json")), "revision"));
  write_peft_adapter(folder.file("a"), adapter, {.base_model = "b", .revision = "v1"});
  CHECK(contains(file_bytes(folder.file("a/adapter_config.json")), "\"revision\": \"v1\""));
  CHECK(read_peft_report(folder.file("a"), two_heads).config.revision == "v1");
}

TEST_CASE("real adapters come back bit for bit and byte for byte", "[io][golden]") {
  const char* extra = std::getenv("ANYSSR_EXTRA_DATA");
  if (extra == nullptr) {
    std::cout << "skipped: ANYSSR_EXTRA_DATA is not set\n";
    return;
  }
  std::vector<Site> sites;
  for (int i = 0; i < 8; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".self_attn.";
    sites.push_back({layer + "q_proj", 192, 192});
    sites.push_back({layer + "v_proj", 192, 64});
  }
  const TemporaryFolder folder;
  const std::filesystem::path adapters = std::string(extra) + "/models/tiny-llama/adapters";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(adapters)) {
    CAPTURE(entry.path());
    const PeftAdapter<float> original =
        read_peft_adapter<float>(entry.path(), {.sites = sites, .base_model = "tiny-llama"});
    CHECK(original.adapter.modules.size() == 8);
    CHECK(original.adapter.modules.at("model.layers.4.self_attn.q_proj").scale() == 2);
    CHECK(original.report.warnings.empty());
    CHECK(original.report.dtype == Dtype::F32);
    const std::string copy = folder.file("copy" + std::to_string(count++));
    write_peft_adapter(copy, original.adapter,
                       {.base_model = "tiny-llama", .task_type = "CAUSAL_LM"});
    CHECK(read_peft_adapter<float>(copy, {.sites = sites}).adapter == original.adapter);
    CHECK(file_bytes(copy + "/adapter_model.safetensors") ==
          file_bytes((entry.path() / "adapter_model.safetensors").string()));
    const PeftAdapter<double> wide = read_peft_adapter<double>(entry.path());
    CHECK(wide.adapter.modules.at("model.layers.7.self_attn.v_proj").a().cast<float>() ==
          original.adapter.modules.at("model.layers.7.self_attn.v_proj").a());
  }
  CHECK(count == 3);
}
