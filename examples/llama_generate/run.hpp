// SPDX-License-Identifier: MIT
#pragma once

/// @file
/// The run in one scalar. Each is compiled in a file of its own, side by side.

#include <anyssr/backbone/llama/llama_backbone.hpp>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/io/peft_adapter_reader.hpp>
#include <anyssr/io/safetensors_writer.hpp>

#include "llama_generate/generate.hpp"
#include "support/shown.hpp"

namespace llama_generate {

using namespace anyssr;

/// The numbers that another implementation can be compared with.
template <class S>
void write_logits(const LlamaBackbone<S>& backbone, const LlamaTrunk<S>& trunk,
                  const AdapterMix<S>& mix, const Request& request) {
  const LlamaModel<S>& model = backbone.model();
  const auto rows = static_cast<Index>(request.ids.size());
  typename LlamaModel<S>::Batch batch;
  batch.add(rows);
  batch.use(model.config(), mix);
  auto table = model.rotary();
  table.grow(rows);
  typename LlamaModel<S>::Activations activations;
  RowMajorMatrix<S> x;
  model.embed(request.ids, x);
  model.run_layers(0, model.config().layers, table, batch, x, activations);
  SafetensorsWriter writer;
  writer.add("logits", model.logits(x));
  writer.add("hidden", trunk.hidden);
  writer.add("pooled", RowVector<S>(trunk.features.row(0)));
  writer.set_metadata("hidden_after_layers", std::to_string(request.shallow_layers));
  writer.write(request.logits);
}

template <class S>
Answer generate(const Request& request) {
  //! [load]
  const LlamaBackbone<S> backbone(
      std::filesystem::path(request.model),
      {.shallow_layers = request.shallow_layers, .threads = request.threads}, {.warn = warn});
  Adapter<S> adapter;
  if (!request.adapter.empty()) {
    adapter =
        read_peft_adapter<S>(request.adapter, {.sites = backbone.sites(), .warn = warn}).adapter;
  }
  const AdapterMix<S> mix = request.adapter.empty() ? AdapterMix<S>() : AdapterMix<S>(adapter);
  //! [load]
  const auto forward = [&](const LlamaTrunk<S>& trunk, Index tokens) {
    const LlamaPredictOptions options{
        .max_tokens = tokens, .sampling = request.sampling, .ignore_eos = request.ignore_eos};
    return backbone.forward(trunk, std::span(&mix, 1), options).front();
  };

  // The first token alone and then all of them: the difference is what decoding took.
  const anyssr::Stopwatch prefill_clock;
  const LlamaTrunk<S> trunk = backbone.trunk(std::span(&request.ids, 1));
  const double trunk_seconds = prefill_clock.seconds();
  LlamaOutput output = forward(trunk, 1);
  const double prefill_seconds = prefill_clock.seconds();
  Answer answer;
  answer.prefill_per_second =
      static_cast<double>(request.ids.size()) / std::max(prefill_seconds, 1e-9);
  if (request.max_tokens != 1) {  // a bad number is refused by the library
    const anyssr::Stopwatch clock;
    output = forward(trunk, request.max_tokens);
    const double seconds = clock.seconds() - (prefill_seconds - trunk_seconds);
    const auto steps = static_cast<double>(output.tokens.size()) + (output.is_complete ? 0 : -1);
    if (steps > 0 && seconds > 0) answer.decode_per_second = steps / seconds;
  }
  answer.ids = std::move(output.tokens);
  answer.is_complete = output.is_complete;
  if (!request.logits.empty()) write_logits(backbone, trunk, mix, request);
  return answer;
}

}  // namespace llama_generate
