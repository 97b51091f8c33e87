// SPDX-License-Identifier: MIT
#include "anyssr/backbone/llama/llama_gradient.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "anyssr/backbone/llama/llama_backbone.hpp"
#include "anyssr/io/safetensors_reader.hpp"
#include "anyssr/train/train_adapter.hpp"
#include "support/catch.hpp"
#include "support/numeric.hpp"
#include "support/sanitized.hpp"
#include "support/tiny_llama.hpp"

using namespace anyssr;
using namespace anyssr::test;

namespace {

/// Queries and answers of unequal lengths, some past the window and one of a single token.
struct Lessons {
  explicit Lessons(const LlamaConfig& config) {
    const std::vector<Index> query_lengths{9, 1, 4, 12};
    const std::vector<Index> answer_lengths{2, 3, 1, 4};
    for (std::size_t i = 0; i < query_lengths.size(); ++i) {
      queries.push_back(random_tokens(config, query_lengths[i], 30 + i));
      const Tokens answer = random_tokens(config, answer_lengths[i] + 1, 40 + i);
      answers.emplace_back(answer.begin() + 1, answer.end());
    }
  }
  std::vector<Tokens> queries;
  std::vector<Tokens> answers;
};

LlamaBackbone<double> gradient_backbone(const LlamaOptions& options = {.shallow_layers = 1,
                                                                       .threads = 1},
                                        const LlamaConfig& config = rich_llama_config()) {
  return LlamaBackbone<double>(tiny_llama_model<double>(config, 11, options.threads), options);
}

/// All numbers of an adapter's gradient in one column.
template <class S>
Eigen::VectorXd flat(const AdapterGradient<S>& gradient) {
  std::vector<double> numbers;
  for_each_block(gradient, [&](const auto& block) {
    for (Index i = 0; i < block.size(); ++i) numbers.push_back(double{block.data()[i]});
  });
  return Eigen::Map<Eigen::VectorXd>(numbers.data(), static_cast<Index>(numbers.size()));
}

/// The numbers themselves, in the same order.
std::vector<double*> numbers_of(Adapter<double>& adapter) {
  std::vector<double*> numbers;
  for (auto& [site, module] : adapter.modules) {
    auto a = module.mutable_a();
    auto b = module.mutable_b();
    for (Index i = 0; i < a.size(); ++i) numbers.push_back(a.data() + i);
    for (Index i = 0; i < b.size(); ++i) numbers.push_back(b.data() + i);
  }
  return numbers;
}

struct LossAndGradient {
  double loss = 0;
  Eigen::VectorXd gradient;
};

template <class S>
LossAndGradient gradient_at(const LlamaBackbone<S>& backbone, const Lessons& lessons,
                            const Adapter<S>& adapter) {
  auto gradient = zero_like(adapter);
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  const double loss = backbone.loss_and_gradient(trunk, lessons.answers, adapter, gradient);
  return {loss, flat(gradient)};
}

double plain_loss(const LlamaModel<double>& model, const Lessons& lessons,
                  const Adapter<double>& adapter) {
  const PlainLlama plain(model, AdapterMix<double>(adapter));
  double sum = 0;
  double tokens = 0;
  for (std::size_t i = 0; i < lessons.queries.size(); ++i) {
    sum += plain.loss_sum(lessons.queries[i], lessons.answers[i]);
    tokens += static_cast<double>(lessons.answers[i].size() + 1);
  }
  return sum / tokens;
}

}  // namespace

TEST_CASE("the gradient of one module is that of the plain decoder's differences",
          "[backbone][property]") {
  const LlamaConfig config = GENERATE(rich_llama_config(), every_part_config());
  const LlamaBackbone<double> backbone =
      gradient_backbone({.shallow_layers = 1, .threads = 1}, config);
  const Lessons lessons(backbone.config());
  const std::string projection = GENERATE(from_range(all_projections));
  const Index directions = GENERATE(0, 5);
  CAPTURE(projection, directions);
  auto adapter = random_llama_adapter<double>(backbone.config(), 1, {projection}, 12, directions);
  REQUIRE(static_cast<Index>(adapter.modules.size()) == config.layers - 1);
  const auto found = gradient_at(backbone, lessons, adapter);
  CHECK(std::abs(found.loss - plain_loss(backbone.model(), lessons, adapter)) < 1e-12);
  // along lines through one factor of one layer at a time
  Index begin = 0;
  for (auto& [site, module] : adapter.modules) {
    for (const bool is_b : {false, true}) {
      auto factor = is_b ? module.mutable_b() : module.mutable_a();
      CAPTURE(site, is_b);
      const Matrix<double> kept = factor;
      const auto line = random_normal<double>(factor.rows(), factor.cols(), 13);
      const double slope = slope_at_zero(
          [&](double by) {
            factor = kept + by * line;
            return plain_loss(backbone.model(), lessons, adapter);
          },
          2e-4);
      factor = kept;
      const auto part = found.gradient.segment(begin, factor.size());
      const double expected = part.dot(line.reshaped());
      CHECK(std::abs(expected - slope) < 1e-8 * part.norm() * line.norm());
      CHECK(part.norm() > 1e-3);
      begin += factor.size();
    }
  }
}

TEST_CASE("the gradient of modules everywhere is that of finite differences number by number",
          "[backbone][property]") {
  const LlamaConfig config = GENERATE(rich_llama_config(), every_part_config());
  const LlamaBackbone<double> backbone =
      gradient_backbone({.shallow_layers = 1, .threads = 1}, config);
  const Lessons lessons(backbone.config());
  const Index directions = GENERATE(0, 4);
  CAPTURE(directions);
  auto adapter =
      random_llama_adapter<double>(backbone.config(), 1, all_projections, 14, directions);
  const auto found = gradient_at(backbone, lessons, adapter);
  CHECK(std::abs(found.loss - plain_loss(backbone.model(), lessons, adapter)) < 1e-12);
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  auto ignored = zero_like(adapter);
  const auto loss = [&] {
    return backbone.loss_and_gradient(trunk, lessons.answers, adapter, ignored);
  };
  const std::vector<double*> numbers = numbers_of(adapter);
  constexpr Index step = is_sanitized ? 29 : 1;
  Eigen::VectorXd slopes = found.gradient;
  for (Index i = directions % step; i < slopes.size(); i += step) {
    slopes[i] = slope_by(*numbers[static_cast<std::size_t>(i)], loss, 3e-4);
  }
  CHECK(relative_error(found.gradient, slopes) < 1e-8);
  CHECK(gradient_at(backbone, lessons, adapter).gradient == found.gradient);
}

TEST_CASE("the loss of an adapter that changes nothing is that of the model",
          "[backbone][property]") {
  const LlamaBackbone<double> backbone = gradient_backbone();
  const Lessons lessons(backbone.config());
  const auto adapter = backbone.make_adapter(lessons.answers, {.lora = {.rank = 3}}, 1);
  CHECK(std::abs(gradient_at(backbone, lessons, adapter).loss -
                 plain_loss(backbone.model(), lessons, {})) < 1e-12);
}

TEST_CASE("memory options and threads change no bit of the gradient", "[backbone][property]") {
  const LlamaConfig config = GENERATE(rich_llama_config(), every_part_config());
  const Lessons lessons(config);
  const auto adapter = random_llama_adapter<double>(config, 1, all_projections, 15);
  const auto expected =
      gradient_at(gradient_backbone({.shallow_layers = 1, .threads = 1}, config), lessons, adapter);
  const std::vector<LlamaOptions> others{
      {.shallow_layers = 1, .threads = 3},
      {.shallow_layers = 1, .threads = 1, .recompute_activations = true},
      {.shallow_layers = 1, .threads = 1, .trunk_cache_bytes = 0},
      {.shallow_layers = 1, .threads = 2, .recompute_activations = true, .trunk_cache_bytes = 0}};
  for (std::size_t i = 0; i < others.size(); ++i) {
    CAPTURE(i);
    const auto found = gradient_at(gradient_backbone(others[i], config), lessons, adapter);
    CHECK(found.loss == expected.loss);
    CHECK(found.gradient == expected.gradient);
  }
}

TEST_CASE("the split between trunk and deep layers does not change the gradient",
          "[backbone][property]") {
  const Lessons lessons(rich_llama_config());
  const auto adapter = random_llama_adapter<double>(rich_llama_config(), 2, all_projections, 16);
  const auto one = gradient_at(gradient_backbone(), lessons, adapter);
  const auto two = gradient_at(gradient_backbone({.shallow_layers = 2}), lessons, adapter);
  CHECK(std::abs(one.loss - two.loss) < 1e-13);
  CHECK(relative_error(two.gradient, one.gradient) < 1e-12);
}

TEST_CASE("a batch's gradient is the mean of its rows by answer tokens", "[backbone][property]") {
  const LlamaBackbone<double> backbone = gradient_backbone();
  const Lessons lessons(backbone.config());
  const auto adapter = random_llama_adapter<double>(backbone.config(), 1, all_projections, 17);
  const auto whole = gradient_at(backbone, lessons, adapter);
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  Eigen::VectorXd sum = Eigen::VectorXd::Zero(whole.gradient.size());
  double loss = 0;
  double weights = 0;
  for (Index i = 0; i < 4; ++i) {
    const auto row = backbone.select(trunk, std::array{i});
    const std::span answer = std::span(lessons.answers).subspan(static_cast<std::size_t>(i), 1);
    auto gradient = zero_like(adapter);
    const double weight = backbone.loss_weight(row, answer);
    loss += weight * backbone.loss_and_gradient(row, answer, adapter, gradient);
    sum += weight * flat(gradient);
    weights += weight;
  }
  CHECK(weights == 14);
  CHECK(std::abs(loss / weights - whole.loss) < 1e-13);
  CHECK(relative_error(sum / weights, whole.gradient) < 1e-12);
}

TEST_CASE("a model without an end of text learns the answer's tokens alone",
          "[backbone][property]") {
  LlamaConfig config = rich_llama_config();
  const Lessons lessons(config);
  const auto adapter = random_llama_adapter<double>(config, 1, all_projections, 18);
  const auto model = tiny_llama_model<double>(config, 11);
  config.eos.clear();
  const LlamaBackbone<double> backbone(tiny_llama_model<double>(config, 11),
                                       {.shallow_layers = 1, .threads = 1});
  const PlainLlama plain(model, AdapterMix<double>(adapter));
  double sum = 0;
  for (std::size_t i = 0; i < lessons.queries.size(); ++i) {
    Tokens ids = lessons.queries[i];     // the plain loss of one answer token and no end is that of
    Tokens answer = lessons.answers[i];  // every prefix in turn
    for (const TokenId token : answer) {
      const Eigen::MatrixXd logits = plain.run(ids).logits;
      const Eigen::VectorXd row = logits.row(logits.rows() - 1);
      sum += std::log(row.array().exp().sum()) - row[token];
      ids.push_back(token);
    }
  }
  CHECK(std::abs(gradient_at(backbone, lessons, adapter).loss - sum / 10) < 1e-12);
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  CHECK(backbone.loss_weight(trunk, lessons.answers) == 10);
}

TEST_CASE("mini-batches that add up train like one batch", "[backbone][property]") {
  const LlamaBackbone<double> backbone = gradient_backbone();
  const Lessons lessons(backbone.config());
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  const auto start =
      random_llama_adapter<double>(backbone.config(), 1, {"q_proj", "down_proj"}, 19);
  const auto trained = [&](Index batch, Index accumulation, TrainReport& report) {
    Adapter<double> adapter = start;
    report = train_adapter(
        backbone, trunk, std::span<const Tokens>(lessons.answers), adapter,
        {.epochs = 5, .batch = batch, .accumulation = accumulation, .clip_norm = 0.5});
    return adapter;
  };
  TrainReport whole;
  TrainReport parts;
  const Adapter<double> one = trained(4, 1, whole);
  const Adapter<double> added = trained(1, 4, parts);
  CHECK(whole.steps == 5);
  CHECK(parts.steps == 5);
  CHECK(whole.losses.back() < whole.losses.front());
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::abs(whole.losses[i] - parts.losses[i]) < 1e-9);
  for (const auto& [site, module] : one.modules) {
    CHECK(relative_error(added.modules.at(site).a(), module.a()) < 1e-9);
    CHECK(relative_error(added.modules.at(site).b(), module.b()) < 1e-9);
  }
}

TEST_CASE("targets that are not the trunk's are refused", "[backbone][error]") {
  const LlamaBackbone<double> backbone = gradient_backbone();
  Lessons lessons(backbone.config());
  const auto adapter = random_llama_adapter<double>(backbone.config(), 1, {"v_proj"}, 20);
  auto gradient = zero_like(adapter);
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  const auto refusal = [&](const auto& on, const std::vector<Tokens>& targets) {
    return message_of<ArgumentError>(
        [&] { (void)backbone.loss_and_gradient(on, targets, adapter, gradient); });
  };
  const std::string message =
      " is not the answer in the trunk, expected those that training_trunk was given";
  CHECK(refusal(backbone.trunk(lessons.queries), lessons.answers) == "target 0" + message);
  std::vector<Tokens> targets = lessons.answers;
  targets[2].push_back(7);
  CHECK(refusal(trunk, targets) == "target 2" + message);
  targets = lessons.answers;
  targets[3].back() = 2;
  CHECK(refusal(trunk, targets) == "target 3" + message);
  targets.pop_back();
  CHECK(message_of<ShapeError>([&] {
          (void)backbone.loss_and_gradient(trunk, targets, adapter, gradient);
        }) == "targets have 3 entries, expected 4, one a row");
  CHECK(flat(gradient).isZero(0));
}

TEST_CASE("an adapter with modules below the trunk's end is not trained", "[backbone][error]") {
  const LlamaBackbone<double> backbone = gradient_backbone();
  const Lessons lessons(backbone.config());
  const auto trunk = backbone.training_trunk(lessons.queries, lessons.answers);
  const auto adapter = random_llama_adapter<double>(backbone.config(), 0, {"v_proj"}, 21);
  auto gradient = zero_like(adapter);
  CHECK(message_of<ArgumentError>(
            [&] { (void)backbone.loss_and_gradient(trunk, lessons.answers, adapter, gradient); }) ==
        "the adapter has a module for 'model.layers.0.self_attn.v_proj', expected linear layers of "
        "layers 1..2 alone, which training reaches");
}

TEMPLATE_TEST_CASE("gradients of tiny-llama are its goldens", "[backbone][golden]", float, double) {
  using S = TestType;
  const auto folder = trained_tiny_llama();
  if (!folder) return;
  std::ifstream file(*folder / "golden_grads.json");
  const Json golden = Json::parse(file);
  const SafetensorsReader tensors((*folder / "golden_grads.safetensors").string());
  std::vector<Tokens> queries;
  std::vector<Tokens> answers;
  for (const Json& example : golden["examples"]) {
    const Tokens ids = example["ids"];
    const std::vector<int> mask = example["mask"];
    const auto first = std::ranges::find(mask, 1) - mask.begin();
    queries.emplace_back(ids.begin(), ids.begin() + first);
    answers.emplace_back(ids.begin() + first, ids.end() - 1);  // the last is the end of text
  }
  const LlamaBackbone<S> backbone(*folder);
  const auto name_of = [](const std::string& kind, const std::string& site, const char* factor) {
    return kind + ".base_model.model." + site + ".lora_" + factor + ".weight";
  };
  Adapter<S> adapter;
  for (const Site& site : backbone.sites()) {
    const std::string a = name_of("param", site.name, "A");
    if (!tensors.has_tensor(a)) continue;
    const Matrix<S> b = tensors.template matrix<S>(name_of("param", site.name, "B"));
    adapter.modules.emplace(
        site.name, LoraModule<S>(tensors.template matrix<S>(a), b, {.rank = 8, .alpha = 16}));
  }
  CHECK(adapter.modules.size() == 8);
  auto gradient = zero_like(adapter);
  const auto trunk = backbone.training_trunk(queries, answers);
  const double loss = backbone.loss_and_gradient(trunk, answers, adapter, gradient);
  const double tolerance = std::is_same_v<S, float> ? 1e-3 : 1e-6;
  CHECK(std::abs(loss / double{golden["loss"]} - 1) < tolerance);
  for (const auto& [site, module] : gradient.modules) {
    CAPTURE(site);
    CHECK(relative_error(module.a, tensors.template matrix<double>(name_of("grad", site, "A"))) <
          tolerance);
    CHECK(relative_error(module.b, tensors.template matrix<double>(name_of("grad", site, "B"))) <
          tolerance);
  }
}
