// SPDX-License-Identifier: MIT
#include "llama_generate/run.hpp"

namespace llama_generate {

Answer generate_float(const Request& request) { return generate<float>(request); }

}  // namespace llama_generate
