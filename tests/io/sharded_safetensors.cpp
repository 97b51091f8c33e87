// SPDX-License-Identifier: MIT
#include "anyssr/io/sharded_safetensors.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "anyssr/core/random.hpp"
#include "anyssr/io/safetensors_writer.hpp"
#include "support/catch.hpp"
#include "support/corpus.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

const std::string index_name = "model.safetensors.index.json";

std::string weight_map(const std::string& members) { return "{\"weight_map\":{" + members + "}}"; }

/// A shard whose tensors hold a number each.
void write_shard(const TemporaryFolder& folder, const std::string& file,
                 const std::vector<std::pair<std::string, float>>& tensors) {
  SafetensorsWriter writer;
  for (const auto& [name, value] : tensors) writer.add(name, std::vector<float>{value});
  writer.write(folder.file(file));
}

/// Two shards: "a" and "c" in one, "b" and "extra" in the other.
void write_two(const TemporaryFolder& folder) {
  write_shard(folder, "one.safetensors", {{"a", 1.F}, {"c", 3.F}});
  write_shard(folder, "two.safetensors", {{"b", 2.F}, {"extra", 4.F}});
  folder.write(index_name, weight_map(R"("c":"one.safetensors","b":"two.safetensors",)"
                                      R"("a":"one.safetensors")"));
}

/// The refusal of an index over the files of write_two, behind its path.
template <class E = FormatError>
std::string refusal(const TemporaryFolder& folder, const std::string& index) {
  keep_for_fuzzing("sharded_index", index);
  const std::string path = folder.write(index_name, index);
  const std::string message =
      message_of<E>([&] { const ShardedSafetensors model(folder.file("")); });
  return message.starts_with(path) ? message.substr(path.size()) : message;
}

}  // namespace

static_assert(std::is_nothrow_move_constructible_v<ShardedSafetensors> &&
              !std::is_copy_constructible_v<ShardedSafetensors>);

TEST_CASE("tensors are found in whichever shard they are", "[io]") {
  const TemporaryFolder folder;
  const Matrix<float> x = random_normal<float>(3, 4, 1);
  const Vector<double> v = random_normal<double>(5, 1, 2);
  SafetensorsWriter first;
  first.add("layers.1.weight", x);
  first.add("layers.10.bias", v);
  first.write(folder.file("model-00001-of-00002.safetensors"));
  SafetensorsWriter second;
  second.add("ids", std::vector<std::int64_t>{7, -8});
  second.write(folder.file("model-00002-of-00002.safetensors"));
  folder.write(index_name, R"({"metadata":{"total_size":-3.5},"other":[null],"weight_map":{)"
                           R"("layers.1.weight":"model-00001-of-00002.safetensors",)"
                           R"("ids":"model-00002-of-00002.safetensors",)"
                           R"("layers.10.bias":"model-00001-of-00002.safetensors"}})");
  for (const bool mapped : {false, true}) {
    CAPTURE(mapped);
    const ShardedSafetensors model(folder.file(""), {.mapped = mapped});
    CHECK(model.names() == std::vector<std::string>{"ids", "layers.1.weight", "layers.10.bias"});
    CHECK(model.unlisted().empty());
    REQUIRE(model.shards().size() == 2);
    CHECK(&model.shard("ids") == &model.shards()[1]);
    CHECK(&model.tensor("ids") == &model.shards()[1].tensor("ids"));
    CHECK(model.has_tensor("layers.10.bias"));
    CHECK_FALSE(model.has_tensor("layers.1"));
    CHECK_FALSE(model.has_tensor("z"));
    CHECK((model.matrix<float>("layers.1.weight", 3, 4) == RowMajorMatrix<float>(x)));
    CHECK((model.vector<double>("layers.10.bias", 5) == v));
    CHECK(model.numbers<double>("layers.10.bias").size() == 5);
    CHECK(model.integers<int>("ids") == std::vector<int>{7, -8});
    CHECK(model.bytes("ids").size() == 16);
    CHECK(model.expect_shape("ids", {2}).elements() == 2);
    CHECK(contains(message_of<FormatError>([&] { (void)model.expect_shape("ids", {3}); }),
                   "model-00002-of-00002.safetensors: tensor \"ids\" has shape [2], expected [3]"));
    if (mapped) {
      CHECK(model.view("ids").size() == 16);
    } else {
      CHECK(contains(message_of<ArgumentError>([&] { (void)model.view("ids"); }),
                     "expected a reader with the option mapped"));
    }
  }
}

TEST_CASE("a model in one file needs no index", "[io]") {
  const TemporaryFolder folder;
  write_shard(folder, "model.safetensors", {{"b", 2.F}, {"a", 1.F}});
  const ShardedSafetensors model(folder.file(""));
  CHECK(model.folder() == folder.file(""));
  CHECK(model.names() == std::vector<std::string>{"a", "b"});
  CHECK(model.numbers<float>("b") == std::vector<float>{2});
  CHECK(model.unlisted().empty());
  CHECK(model.shards().size() == 1);
}

TEST_CASE("one whole file wins over an index beside it", "[io]") {
  const TemporaryFolder folder;
  write_two(folder);
  write_shard(folder, "model.safetensors", {{"a", 9.F}});
  CHECK(ShardedSafetensors(folder.file("")).numbers<float>("a") == std::vector<float>{9});
  folder.write(index_name, "not even JSON");
  CHECK(ShardedSafetensors(folder.file("")).names() == std::vector<std::string>{"a"});
  folder.write("model.safetensors", "broken as well");
  CHECK(contains(message_of<FormatError>([&] { const ShardedSafetensors model(folder.file("")); }),
                 folder.file("model.safetensors") + ": is text that begins"));
}

TEST_CASE("tensors that the map does not list are reported and not read", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  write_shard(folder, "three.safetensors", {{"a", 5.F}});  // which no map names
  const ShardedSafetensors model(folder.file(""));
  CHECK(model.unlisted() == std::vector<UnlistedTensor>{{"extra", "two.safetensors"}});
  CHECK(model.names() == std::vector<std::string>{"a", "b", "c"});
  CHECK(model.numbers<float>("a") == std::vector<float>{1});
  CHECK_FALSE(model.has_tensor("extra"));
  CHECK(message_of<FormatError>([&] { (void)model.numbers<float>("extra"); }) ==
        folder.file(index_name) +
            ": weight_map does not list tensor \"extra\", which is in \"two.safetensors\"");
  CHECK(message_of<FormatError>([&] { (void)model.tensor("d"); }) ==
        folder.file("") + ": has no tensor \"d\", it has 3 others in 2 files");
}

TEST_CASE("a map without tensors is a model without tensors", "[io]") {
  const TemporaryFolder folder;
  folder.write(index_name, weight_map(""));
  const ShardedSafetensors model(folder.file(""));
  CHECK(model.names().empty());
  CHECK(model.shards().empty());
}

TEST_CASE("a folder without a model is named with what it lacks", "[io][error]") {
  const TemporaryFolder folder;
  const std::string lacks = ": holds neither model.safetensors nor model.safetensors.index.json";
  for (const std::string& path : {folder.file(""), folder.file("missing")}) {
    CHECK(message_of<FileError>([&] { const ShardedSafetensors model(path); }) == path + lacks);
  }
}

TEST_CASE("a path without letters means the current folder", "[io]") {
  const TemporaryFolder folder;
  write_two(folder);
  const fs::path before = fs::current_path();
  fs::current_path(folder.file(""));
  const std::vector<std::string> names = ShardedSafetensors("").names();
  fs::current_path(before);
  CHECK(names == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("an index of another form is refused with what it holds", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  CHECK(refusal(folder, "[1]") == ": is an array, expected an object with weight_map");
  CHECK(refusal(folder, "\"a\"") == ": is \"a\", expected an object with weight_map");
  CHECK(refusal(folder, "{\"metadata\":{}}") == ": has no weight_map");
  const std::string object = ", expected an object of tensors and files";
  CHECK(refusal(folder, R"({"weight_map":null})") == ": weight_map is null" + object);
  CHECK(refusal(folder, R"({"weight_map":[]})") == ": weight_map is an array" + object);
  const std::string name = " for tensor \"a\", expected the name of a file";
  CHECK(refusal(folder, weight_map("\"a\":1.5")) == ": weight_map has 1.5" + name);
  CHECK(refusal(folder, weight_map("\"a\":{}")) == ": weight_map has an object" + name);
  CHECK(refusal(folder, weight_map("\"a\":[\"one.safetensors\"]")) ==
        ": weight_map has an array" + name);
  CHECK(refusal(folder, weight_map(R"("a":"one.safetensors","\u0061":"two.safetensors")")) ==
        ": the key \"a\" stands there twice");
  CHECK(refusal(folder, weight_map("") + "\0 "s).starts_with(": a NUL byte"));
}

TEST_CASE("a file name that could lead elsewhere is refused", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  fs::create_directory(folder.file("inner"));
  write_shard(folder, "inner/one.safetensors", {{"a", 1.F}});
  const auto message = [&](const std::string& json, const std::string& shown) {
    CHECK(refusal(folder, weight_map("\"a\":\"" + json + "\"")) ==
          ": weight_map has file \"" + shown +
              "\" for tensor \"a\", expected a name without / \\ .. and NUL");
  };
  message("inner/one.safetensors", "inner/one.safetensors");
  message("../one.safetensors", "../one.safetensors");
  message("/etc/passwd", "/etc/passwd");
  message("inner\\\\one.safetensors", "inner\\\\one.safetensors");
  message("one\\u0000.safetensors", "one\\u0000.safetensors");
  message("one..safetensors", "one..safetensors");
  message("..", "..");
  message(".", ".");
  message("", "");
}

TEST_CASE("shards may be links as in a cache of downloads", "[io]") {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  const std::string index = weight_map("\"a\":\"link\"");
  write_shard(elsewhere, "blob", {{"a", 1.F}});
  fs::create_symlink(elsewhere.file("blob"), folder.file("link"));
  folder.write(index_name, index);
  CHECK(ShardedSafetensors(folder.file("")).numbers<float>("a") == std::vector<float>{1});
  fs::remove(folder.file("link"));
  fs::create_symlink("link", folder.file("link"));
  CHECK(refusal<FileError>(folder, index) ==
        folder.file("link") + ": cannot be opened: Too many levels of symbolic links");
}

TEST_CASE("a model folder may be reached by a link", "[io]") {
  const TemporaryFolder folder;
  const TemporaryFolder elsewhere;
  write_two(folder);
  fs::create_directory_symlink(folder.file(""), elsewhere.file("link"));
  CHECK(ShardedSafetensors(elsewhere.file("link")).numbers<float>("b") == std::vector<float>{2});
}

TEST_CASE("a shard that is missing or no file is named", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  CHECK(refusal<FileError>(folder, weight_map(R"("a":"one.safetensors","z":"nine","y":"eight")")) ==
        ": names 3 files, and the folder lacks 2 of them: \"eight\", \"nine\"; download or copy "
        "them too");
  fs::create_directory(folder.file("inner"));
  CHECK(refusal(folder, weight_map("\"a\":\"inner\"")) ==
        folder.file("inner") + ": is a folder, expected a regular file");
  folder.write("broken", "no safetensors file");
  CHECK(refusal(folder, weight_map("\"a\":\"broken\"")) ==
        folder.file("broken") +
            ": is text that begins \"no safetensors file\", expected a "
            "safetensors file: download or copy the file again");
}

TEST_CASE("a tensor that is not in its file is refused", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  const std::string missing = ": tensor \"a\" is not in its file \"two.safetensors\"";
  CHECK(refusal(folder, weight_map(R"("a":"two.safetensors")")) == missing);
  CHECK(refusal(folder, weight_map(R"("a":"two.safetensors","c":"one.safetensors")")) == missing);
}

TEST_CASE("a tensor that is in two shards is refused", "[io][error]") {
  const TemporaryFolder folder;
  write_two(folder);
  write_shard(folder, "more.safetensors", {{"d", 5.F}, {"extra", 6.F}, {"x\"", 7.F}});
  CHECK(refusal(folder, weight_map(R"("b":"two.safetensors","d":"more.safetensors")")) ==
        ": tensor \"extra\" is in two files, \"more.safetensors\" and \"two.safetensors\"");
  fs::create_symlink("one.safetensors", folder.file("same"));
  CHECK(refusal(folder, weight_map(R"("a":"one.safetensors","c":"same")")) ==
        ": tensor \"a\" is in two files, \"one.safetensors\" and \"same\"");
}

TEST_CASE("each of many tensors is found in its own of many shards", "[io]") {
  const TemporaryFolder folder;
  std::string members;
  for (int shard = 0; shard < 20; ++shard) {
    const std::string file = "shard-" + std::to_string(shard);
    SafetensorsWriter writer;
    for (int i = 0; i < 1000; ++i) {
      const std::string name = "t." + std::to_string(i) + "." + std::to_string(shard);
      writer.add(name, std::vector<std::uint8_t>{static_cast<std::uint8_t>(shard)});
      members.append(members.empty() ? "\"" : ",\"").append(name).append("\":\"");
      members.append(file).append("\"");
    }
    writer.write(folder.file(file));
  }
  folder.write(index_name, weight_map(members));
  const ShardedSafetensors model(folder.file(""), {.mapped = true});
  CHECK(model.names().size() == 20'000);
  int wrong = 0;
  for (const std::string& name : model.names()) {
    const int shard = std::stoi(name.substr(name.rfind('.') + 1));
    if (model.integers<int>(name) != std::vector<int>{shard}) ++wrong;
  }
  CHECK(wrong == 0);
}
