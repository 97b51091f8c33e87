// SPDX-License-Identifier: MIT
// The router in front of an inference engine of one's own (llama.cpp, TensorRT-LLM, ...), which
// serves one model and many LoRA adapters: the engine gives the hidden states of a prompt after its
// first layers, the router gives the name of the adapter to answer with. No weight of the model is
// seen here, and teaching one more adapter takes a few example prompts and milliseconds.
// expect: my card was charged twice.*billing
// expect: where is my package.*shipping
// expect: the screen stays black.*repairs

#include <anyssr/anyssr.hpp>
#include <cstdio>
#include <sstream>
#include <string>

// Stands for your engine. Its "hidden state" of a word is a random vector of that word.
class Engine {
 public:
  static constexpr Eigen::Index width = 256;

  // One row a token: what llama.cpp gives for embeddings without pooling.
  Eigen::MatrixXf hidden_states(const std::string& prompt) const {
    std::istringstream words(prompt);
    Eigen::MatrixXf states(0, width);
    for (std::string word; words >> word;) {
      anyssr::RandomStream random(anyssr::hash_bytes(word));
      states.conservativeResize(states.rows() + 1, width);
      for (Eigen::Index j = 0; j < width; ++j) states(states.rows() - 1, j) = random.normal();
    }
    return states;
  }
};

struct EngineBackbone {
  using Scalar = float;
  using Input = std::string;
  Engine engine;

  Eigen::Index feature_dim() const { return Engine::width; }
  Eigen::MatrixXf features(std::span<const std::string> prompts) const {
    Eigen::MatrixXf x(static_cast<Eigen::Index>(prompts.size()), feature_dim());
    for (Eigen::Index i = 0; i < x.rows(); ++i)
      x.row(i) = engine.hidden_states(prompts[static_cast<std::size_t>(i)]).colwise().mean();
    return x;
  }
};
static_assert(anyssr::Backbone<EngineBackbone>);

int main() {
  const EngineBackbone backbone;
  const auto features = [&](const std::vector<std::string>& prompts) {
    return backbone.features(prompts);
  };
  //! [learn]
  anyssr::AnalyticRouter<float> router(
      backbone.feature_dim(), {.expansion = {.kind = anyssr::ExpansionKind::dense, .dim = 1024}});

  // One call for each adapter that the engine has.
  router.learn("billing", features({"i was charged twice on my card", "the invoice is too high",
                                    "refund the last payment to my card", "my bill is wrong"}));
  router.learn("shipping", features({"where is my parcel", "the package has not arrived",
                                     "track my delivery", "my package went to the old address"}));
  router.learn("repairs", features({"the screen is black", "the battery stays empty",
                                    "my phone does not start", "the speaker of my phone broke"}));
  //! [learn]

  std::printf("prompt                        adapter    margin\n");
  const std::vector<std::string> prompts = {"my card was charged twice", "where is my package",
                                            "the screen stays black"};
  //! [decide]
  anyssr::RoutingWorkspace<float> workspace;
  std::vector<anyssr::RoutingDecision> decisions;
  router.decide(features(prompts), workspace, decisions);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string& adapter = router.tasks()[static_cast<std::size_t>(decisions[i].task)].name;
    std::printf("%-28s  %-9s  %.2f\n", prompts[i].c_str(), adapter.c_str(), decisions[i].margin);
    // your engine goes on from here: set its adapter to `adapter`, and generate
  }
  //! [decide]
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : 1;
}
