// SPDX-License-Identifier: MIT
// What including everything costs who uses nothing.
#include <anyssr/anyssr.hpp>

int main() { return 0; }
