// SPDX-License-Identifier: MIT
#include "llama_generate/run.hpp"

namespace llama_generate {

Answer generate_double(const Request& request) { return generate<double>(request); }

}  // namespace llama_generate
