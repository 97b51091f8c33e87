// SPDX-License-Identifier: MIT
// What tokenizers cost: reading a file, megabytes a second of a text and of hard ones, and the rate
// of the SentencePiece library on the same text where the second folder holds the same vocabulary as
// a tokenizer.model.
//
//   build/bench/tokenizers TEXT.txt LLAMA3 [BPE_AS_JSON BPE_AS_SENTENCEPIECE]
//
// Each figure is the best of five; a ratio takes both sides in turn.
#include <sys/resource.h>

#include <algorithm>
#include <anyssr/core/stopwatch.hpp>
#include <anyssr/text/tokenizer.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>

namespace {

using anyssr::Tokenizer;

constexpr int rounds = 5;
constexpr std::size_t megabyte = std::size_t{1} << 20U;

double seconds_of(const Tokenizer& tokenizer, const std::string& text) {
  const anyssr::Stopwatch watch;
  const std::size_t count = tokenizer.encode(text).size();
  const double seconds = watch.seconds();
  if (count == 0) std::printf("(no ids)\n");
  return seconds;
}

double rate_of(const Tokenizer& tokenizer, const std::string& text) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < rounds; ++i) best = std::min(best, seconds_of(tokenizer, text));
  return static_cast<double>(text.size()) / 1e6 / best;
}

std::string repeated(std::string_view part) {
  std::string text;
  while (text.size() < megabyte) text += part;
  return text;
}

/// The first megabyte of a file, up to the end of a line.
std::string read_text(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  if (text.size() > megabyte) text.resize(text.rfind('\n', megabyte) + 1);
  return text;
}

void report(const char* folder, const std::string& text) {
  const anyssr::Stopwatch watch;
  const Tokenizer tokenizer = Tokenizer::read(folder);
  const double seconds = watch.seconds();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%s: %d tokens, read in %.3f s, peak %ld MB\n", folder, tokenizer.token_count(),
              seconds, usage.ru_maxrss / 1024);
  std::printf("  text %.2f MB/s, one letter %.2f, spaces %.2f, Chinese %.2f, marks %.2f\n",
              rate_of(tokenizer, text), rate_of(tokenizer, repeated("a")),
              rate_of(tokenizer, repeated(" ")), rate_of(tokenizer, repeated("\u4F60\u597D")),
              rate_of(tokenizer, repeated("\u0301\u0316")));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: tokenizers TEXT.txt FOLDER [JSON_FOLDER SENTENCEPIECE_FOLDER]\n");
    return 2;
  }
  try {
    const std::string text = read_text(argv[1]);
    report(argv[2], text);
    if (argc == 3) return 0;
    const Tokenizer json = Tokenizer::read(argv[3]);
    const Tokenizer pieces = Tokenizer::read(argv[4]);
    double best_json = std::numeric_limits<double>::infinity();
    double best_pieces = best_json;
    for (int i = 0; i < rounds; ++i) {
      best_json = std::min(best_json, seconds_of(json, text));
      best_pieces = std::min(best_pieces, seconds_of(pieces, text));
    }
    std::printf("ids equal: %s; rate against SentencePiece: %.2f\n",
                json.encode(text) == pieces.encode(text) ? "yes" : "no", best_pieces / best_json);
  } catch (const anyssr::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
