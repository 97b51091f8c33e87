// SPDX-License-Identifier: MIT
// The manifest of a checkpoint. What passes must come out again as it went in.
#include "anyssr/store/manifest.hpp"
#include "anyssr/store/learner_options_json.hpp"
#include "fuzz/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = anyssr::fuzz::as_text(data, size);
  anyssr::fuzz::run([&] { anyssr::expect_own_check(text, "manifest.json"); });
  return anyssr::fuzz::run([&] {
    const anyssr::Json json = anyssr::parse_json(text, "manifest.json");
    const anyssr::Manifest manifest = anyssr::parse_manifest(json, "manifest.json");
    const anyssr::LearnerOptions options =
        anyssr::detail::parse_learner_options(manifest.options, "manifest.json: options");
    (void)anyssr::detail::learner_options_json(options);
    const std::string again = anyssr::manifest_text(manifest);
    anyssr::expect_own_check(again, "again");
    const anyssr::Manifest read =
        anyssr::parse_manifest(anyssr::parse_json(again, "again"), "again");
    if (anyssr::manifest_text(read) != again) std::abort();
  });
}
