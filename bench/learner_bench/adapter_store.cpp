// SPDX-License-Identifier: MIT

/// @file
/// An adapter on demand: a hit, against a pointer that is at hand anyway, and a miss of an adapter
/// of 1 MB: read from disk, its SHA-256 checked.

#include <anyssr/store.hpp>
#include <cstdlib>

#include "support/fixture.hpp"

namespace {

using namespace anyssr;

constexpr Index count = 32;

/// A folder with 32 adapters of 1 MB each, gone at the end of the process.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "anyssr-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder can be made");
    root_ = name;
    std::filesystem::create_directory(root_ / "adapters");
    for (Index a = 0; a < count; ++a) {
      Adapter<float> adapter;
      adapter.modules.emplace(
          "site", LoraModule<float>(8192, 8192, {.rank = 16}, static_cast<std::uint64_t>(a)));
      const AdapterHandle<float> handle(adapter);
      const auto entries =
          detail::write_adapter_folder(root_, folder(a), folder(a), adapter, handle.info());
      files_.emplace(folder(a), entries);
      bytes_ = handle.info().bytes;
    }
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  [[nodiscard]] static std::string folder(Index a) {
    return detail::numbered(static_cast<std::uint64_t>(a)) + "-task";
  }
  [[nodiscard]] Adapter<float> read(const std::string& name) const {
    for (const StoredFile& file : files_.at(name)) detail::expect_intact(root_, file);
    return detail::read_adapter_folder<float>(root_ / "adapters" / name);
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::filesystem::path root_;
  std::map<std::string, std::vector<StoredFile>> files_;
  std::size_t bytes_ = 0;
};

const Folder& stored() {
  static const Folder made;
  return made;
}

/// @param budget  in adapters
void get_adapter(benchmark::State& state, Index budget) {
  AdapterStore<float> store(static_cast<std::size_t>(budget) * stored().bytes(),
                            [](const std::string& name) { return stored().read(name); });
  for (Index a = 0; a < count; ++a) (void)store.get(Folder::folder(a), stored().bytes());
  Index next = 0;
  for (auto _ : state) {
    const auto adapter = store.get(Folder::folder(next), stored().bytes());
    benchmark::DoNotOptimize(adapter.get());
    next = (next + 1) % count;
  }
  // left out where it is 0: its spread over repetitions would be NaN, which JSON has no form for
  if (store.counts().hits > 0) {
    state.counters["hit_share"] = static_cast<double>(store.counts().hits) /
                                  static_cast<double>(store.counts().hits + store.counts().misses);
  }
  state.counters["adapter_bytes"] = static_cast<double>(stored().bytes());
}

BENCHMARK_CAPTURE(get_adapter, hit, count)->UseRealTime();
BENCHMARK_CAPTURE(get_adapter, miss, count / 2)->UseRealTime();

}  // namespace
