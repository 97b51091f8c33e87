// SPDX-License-Identifier: MIT
#include "anyssr/io/safetensors_reader.hpp"

#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/file_bytes.hpp"
#include "support/program.hpp"

using namespace anyssr;
using namespace anyssr::test;
using namespace std::string_literals;

namespace {

template <class T>
std::string number_bytes(T value) {
  if constexpr (sizeof(T) == 8) return little_endian(std::bit_cast<std::uint64_t>(value), 8);
  if constexpr (sizeof(T) == 4) return little_endian(std::bit_cast<std::uint32_t>(value), 4);
  if constexpr (sizeof(T) == 2) return little_endian(std::bit_cast<std::uint16_t>(value), 2);
  if constexpr (sizeof(T) == 1) return little_endian(std::bit_cast<std::uint8_t>(value), 1);
}

template <class T>
std::string numbers_bytes(const std::vector<T>& values) {
  std::string bytes;
  for (const T value : values) bytes += number_bytes(value);
  return bytes;
}

/// A file of one tensor "t".
SafetensorsReader one(const TemporaryFolder& folder, const std::string& dtype,
                      const std::string& shape, const std::string& data) {
  const std::string header = "{" + safetensors_entry("t", dtype, shape, 0, data.size()) + "}";
  return SafetensorsReader(folder.write("one.safetensors", safetensors_bytes(header, data)));
}

template <class T>
std::vector<T> read_one(const std::string& dtype, const std::string& data, std::size_t count) {
  const TemporaryFolder folder;
  return one(folder, dtype, "[" + std::to_string(count) + "]", data).integers<T>("t");
}

/// The smallest and largest T and a few others come back as they are.
template <class T>
void check_integers(const std::string& dtype) {
  CAPTURE(dtype);
  const std::vector<T> values{std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), T{0},
                              T{1}, T{42}};
  CHECK(read_one<T>(dtype, numbers_bytes(values), values.size()) == values);
}

}  // namespace

static_assert(std::is_move_constructible_v<SafetensorsReader>);
static_assert(!std::is_copy_constructible_v<SafetensorsReader>);

TEST_CASE("what is no regular file or too short is refused", "[io][error]") {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& path) {
    return message_of<FormatError>([&] { const SafetensorsReader reader(path); });
  };
  const std::string pipe = folder.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(message(pipe) == pipe + ": is a pipe, a socket or a device, expected a regular file");
  const std::string inner = folder.file(".");
  CHECK(message(inner) == inner + ": is a folder, expected a regular file");
  for (const std::size_t size : {1U, 8U, 9U}) {
    const std::string path = folder.write("short", std::string(size, '\0'));
    CHECK(message(path) == path + ": has " + std::to_string(size) + " bytes, expected at least 10");
  }
  const std::string missing = folder.file("missing");
  CHECK(message_of<FileError>([&] { const SafetensorsReader reader(missing); }) ==
        missing + ": cannot be opened: No such file or directory");
}

TEST_CASE("a header length that cannot be is refused before it is allocated", "[io][error]") {
  const TemporaryFolder folder;
  const auto message = [&](std::uint64_t length, const SafetensorsReaderOptions& options = {}) {
    const std::string path = folder.write("lying", little_endian(length, 8) + "{}      ");
    const std::string text =
        message_of<FormatError>([&] { const SafetensorsReader reader(path, options); });
    return text.substr(0, path.size()) == path ? text.substr(path.size()) : text;
  };
  const auto refusal = [](const char* length, const char* limit) {
    return ": the header has "s + length + " bytes, expected at most " + limit +
           " and at most 8 in a file of 16";
  };
  CHECK(message(9) == refusal("9", "100000000"));
  CHECK(message(100'000'001) == refusal("100000001", "100000000"));
  CHECK(message(0x7FFFFFFFFFFFFFFFU) == refusal("9223372036854775807", "100000000"));
  CHECK(message(0xFFFFFFFFFFFFFFFFU) == refusal("18446744073709551615", "100000000"));
  CHECK(message(0xFFFFFFFFFFFFFFF8U) == refusal("18446744073709551608", "100000000"));
  CHECK(message(8, {.max_header_bytes = 7}) == refusal("8", "7"));
  CHECK(message(8, {.max_header_bytes = 8}) == "nothing was thrown");
  CHECK(message(0) == ": the header has 0 bytes and no JSON in them, expected '{'");
  CHECK(message(2) == ": the tensors end at byte 0 of the data, expected 6, where the file ends");
}

TEST_CASE("a file that is cut after it was opened is refused", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path =
      folder.write("cut", safetensors_bytes("{" + safetensors_entry("t", "F32", "[4]", 0, 16) + "}",
                                            std::string(16, '\0')));
  const SafetensorsReader reader(path);
  const std::uint64_t size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 6);
  const std::string reason = path + ": wanted 16 bytes from byte " + std::to_string(size - 16) +
                             " on, got 10: the file was cut while it was read";
  CHECK(message_of<FormatError>([&] { (void)reader.numbers<float>("t"); }) == reason);
  CHECK(message_of<FormatError>([&] { (void)reader.numbers<double>("t"); }) == reason);
  CHECK(message_of<FormatError>([&] { (void)reader.bytes("t"); }) == reason);
}

TEST_CASE("a broken header is refused with the name of its file", "[io][error]") {
  const TemporaryFolder folder;
  const std::string path = folder.write("bad", safetensors_bytes("{\"a\":1} ", ""));
  CHECK(message_of<FormatError>([&] { const SafetensorsReader reader(path); }) ==
        path + ": entry \"a\" is 1, expected an object with dtype, shape and data_offsets");
}

TEST_CASE("a file without tensors tells its metadata", "[io][golden]") {
  const TemporaryFolder folder;
  const SafetensorsReader empty(folder.write("empty", safetensors_bytes("{}      ", "")));
  CHECK(empty.tensors().empty());
  CHECK(empty.metadata().empty());
  const SafetensorsReader reader(
      folder.write("meta", safetensors_bytes(R"( {"__metadata__":{"format":"pt"}})", "")));
  CHECK(reader.metadata().at("format") == "pt");
  CHECK(message_of<FormatError>([&] { (void)reader.tensor("weights"); }) ==
        folder.file("meta") + ": has no tensor \"weights\", it has none at all");
}

TEMPLATE_TEST_CASE("every float kind is read as the scalar that is asked for", "[io][golden]",
                   float, double) {
  using S = TestType;
  const TemporaryFolder folder;
  const std::vector<S> expected{S(1.5), S(-2), S(0), S(0.15625), S(-65504), S(1) / S(1024)};
  const RowMajorMatrix<S> matrix = Eigen::Map<const RowMajorMatrix<S>>(expected.data(), 2, 3);
  std::vector<std::pair<std::string, std::string>> files(4);
  files[0].first = "F64";
  files[1].first = "F32";
  files[2] = {"F16", numbers_bytes<std::uint16_t>({0x3E00, 0xC000, 0, 0x3100, 0xFBFF, 0x1400})};
  files[3] = {"BF16", numbers_bytes<std::uint16_t>({0x3FC0, 0xC000, 0, 0x3E20, 0, 0x3A80})};
  for (const S value : expected) files[0].second += number_bytes(double{value});
  for (const S value : expected) files[1].second += number_bytes(static_cast<float>(value));
  for (const auto& [dtype, data] : files) {
    CAPTURE(dtype);
    RowMajorMatrix<S> wanted = matrix;
    if (dtype == "BF16") wanted(1, 1) = 0;  // which has no room for 65504
    const SafetensorsReader reader = one(folder, dtype, "[2,3]", data);
    CHECK((reader.matrix<S>("t") == wanted));
    CHECK((reader.matrix<S>("t", 2, 3) == wanted));
    CHECK((reader.matrix<S>("t", Eigen::Dynamic, 3) == wanted));
    CHECK(reader.numbers<S>("t") == std::vector<S>(wanted.data(), wanted.data() + 6));
    const SafetensorsReader list = one(folder, dtype, "[6]", data);
    CHECK((list.vector<S>("t", 6) == Eigen::Map<const Vector<S>>(wanted.data(), 6)));
  }
}

TEST_CASE("numbers that need no conversion come bit for bit", "[io][property]") {
  const TemporaryFolder folder;
  const std::vector<std::uint32_t> narrow{0x7FA00001U, 0xFF800000U, 0x80000000U, 1U, 0x7F800001U};
  const std::vector<float> floats =
      one(folder, "F32", "[5]", numbers_bytes(narrow)).numbers<float>("t");
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::bit_cast<std::uint32_t>(floats[i]) == narrow[i]);
  const std::vector<std::uint64_t> wide{0x7FF0000000000001U, 0x8000000000000000U, 1U};
  const std::vector<double> doubles =
      one(folder, "F64", "[3]", numbers_bytes(wide)).numbers<double>("t");
  for (std::size_t i = 0; i < 3; ++i) CHECK(std::bit_cast<std::uint64_t>(doubles[i]) == wide[i]);
}

TEST_CASE("doubles are narrowed to float as by a cast", "[io]") {
  const TemporaryFolder folder;
  const std::vector<double> values{1e300, -1e300, 0.1, 1e-300, std::nan("")};
  const std::vector<float> read =
      one(folder, "F64", "[5]", numbers_bytes(values)).numbers<float>("t");
  CHECK(read[0] == std::numeric_limits<float>::infinity());
  CHECK(read[1] == -std::numeric_limits<float>::infinity());
  CHECK(read[2] == 0.1F);
  CHECK(read[3] == 0);
  CHECK(std::isnan(read[4]));
}

TEST_CASE("every integer kind is read with its whole range", "[io][golden]") {
  check_integers<std::int64_t>("I64");
  check_integers<std::uint64_t>("U64");
  check_integers<std::int32_t>("I32");
  check_integers<std::uint32_t>("U32");
  check_integers<std::int16_t>("I16");
  check_integers<std::uint16_t>("U16");
  check_integers<std::int8_t>("I8");
  check_integers<std::uint8_t>("U8");
  CHECK(read_one<int>("BOOL", "\x01\x00\x01"s, 3) == std::vector<int>{1, 0, 1});
  CHECK(read_one<std::uint8_t>("BOOL", "\x01\x00"s, 2) == std::vector<std::uint8_t>{1, 0});
  CHECK(read_one<Index>("I8", "\xFF\x7F"s, 2) == std::vector<Index>{-1, 127});
  CHECK(read_one<std::int8_t>("U64", number_bytes(std::uint64_t{127}), 1).front() == 127);
}

TEST_CASE("an integer that the wanted type cannot hold is refused", "[io][error]") {
  const TemporaryFolder folder;
  const std::string file = folder.file("one.safetensors");
  const auto message = [&](const std::string& dtype, const std::string& data, auto zero) {
    return message_of<FormatError>(
        [&] { (void)one(folder, dtype, "[1]", data).integers<decltype(zero)>("t"); });
  };
  const std::string holds = file + ": tensor \"t\" holds ";
  CHECK(message("I64", number_bytes(std::int64_t{-1}), std::uint64_t{}) ==
        holds + "-1, expected 0 to 18446744073709551615");
  CHECK(message("U64", number_bytes(~std::uint64_t{}), std::int64_t{}) ==
        holds + "18446744073709551615, expected -9223372036854775808 to 9223372036854775807");
  CHECK(message("I16", number_bytes(std::int16_t{128}), std::int8_t{}) ==
        holds + "128, expected -128 to 127");
  CHECK(message("U8", "\xC8", std::int8_t{}) == holds + "200, expected -128 to 127");
  CHECK(message("BOOL", "\x02", int{}) == holds + "2, expected 0 or 1");
}

TEST_CASE("a tensor of another kind is refused by name", "[io][error]") {
  const TemporaryFolder folder;
  const std::string file = folder.file("one.safetensors");
  const std::string is = file + ": tensor \"t\" is ";
  const std::string numbers = ", expected one of F64, F32, F16, BF16";
  const std::string integers = ", expected one of I64, U64, I32, U32, I16, U16, I8, U8, BOOL";
  const SafetensorsReader labels = one(folder, "I64", "[1]", number_bytes(std::int64_t{7}));
  CHECK(message_of<FormatError>([&] { (void)labels.numbers<double>("t"); }) ==
        is + "I64" + numbers);
  CHECK(message_of<FormatError>([&] { (void)labels.vector<float>("t"); }) == is + "I64" + numbers);
  const SafetensorsReader floats = one(folder, "F32", "[1]", number_bytes(1.0F));
  CHECK(message_of<FormatError>([&] { (void)floats.integers<int>("t"); }) == is + "F32" + integers);
}

TEST_CASE("opaque kinds hand out their bytes and refuse conversion", "[io][error]") {
  const TemporaryFolder folder;
  struct Opaque {
    const char* dtype;
    const char* shape;
    std::size_t bytes;
  };
  for (const Opaque& c :
       {Opaque{"C64", "[2]", 16}, Opaque{"F8_E4M3", "[3]", 3}, Opaque{"F8_E5M2", "[3]", 3},
        Opaque{"F8_E8M0", "[3]", 3}, Opaque{"F8_E4M3FNUZ", "[3]", 3},
        Opaque{"F8_E5M2FNUZ", "[3]", 3}, Opaque{"F6_E2M3", "[4]", 3}, Opaque{"F6_E3M2", "[2,4]", 6},
        Opaque{"F4", "[2,3]", 3}}) {
    CAPTURE(c.dtype);
    const std::string data = "\x01\xFE\x80\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F"s;
    const SafetensorsReader reader = one(folder, c.dtype, c.shape, data.substr(0, c.bytes));
    const std::vector<std::byte> bytes = reader.bytes("t");
    REQUIRE(bytes.size() == c.bytes);
    CHECK(std::memcmp(bytes.data(), data.data(), c.bytes) == 0);
    CHECK(contains(message_of<FormatError>([&] { (void)reader.numbers<float>("t"); }),
                   "tensor \"t\" is "s + c.dtype + ", expected one of F64"));
    CHECK(contains(message_of<FormatError>([&] { (void)reader.integers<int>("t"); }),
                   "tensor \"t\" is "s + c.dtype + ", expected one of I64"));
  }
}

TEST_CASE("tensors behind an odd number of bytes are read all the same", "[io][golden]") {
  const TemporaryFolder folder;
  const std::string header = "{" + safetensors_entry("byte", "U8", "[1]", 0, 1) + "," +
                             safetensors_entry("half", "BF16", "[3]", 1, 7) + "," +
                             safetensors_entry("none", "F64", "[0,5]", 7, 7) + "," +
                             safetensors_entry("wide", "F64", "[2]", 7, 23) + "," +
                             safetensors_entry("whole", "I32", "[]", 23, 27) +
                             "}";  // no padding either
  const std::string data = "\x05" + numbers_bytes<std::uint16_t>({0x3F80, 0x4000, 0x4040}) +
                           numbers_bytes<double>({0.1, -7}) + number_bytes(std::int32_t{-9});
  const SafetensorsReader reader(folder.write("odd", safetensors_bytes(header, data)));
  CHECK(reader.integers<int>("byte") == std::vector<int>{5});
  CHECK(reader.numbers<float>("half") == std::vector<float>{1, 2, 3});
  CHECK(reader.matrix<double>("none").rows() == 0);
  CHECK(reader.matrix<double>("none").cols() == 5);
  CHECK(reader.numbers<double>("wide") == std::vector<double>{0.1, -7});
  CHECK(reader.integers<int>("whole") == std::vector<int>{-9});
  CHECK(reader.has_tensor("wide"));
  CHECK_FALSE(reader.has_tensor("Wide"));
  CHECK(reader.tensors().size() == 5);
  CHECK(reader.tensor("wide").begin == 7);
}

TEST_CASE("a tensor of another shape is refused with both shapes", "[io][error]") {
  const TemporaryFolder folder;
  const SafetensorsReader reader = one(folder, "F32", "[2,3]", std::string(24, '\0'));
  const std::string has = folder.file("one.safetensors") + ": tensor \"t\" has shape [2, 3], ";
  CHECK(message_of<FormatError>([&] { (void)reader.matrix<float>("t", 2, 4); }) ==
        has + "expected [2, 4]");
  CHECK(message_of<FormatError>([&] { (void)reader.matrix<float>("t", Eigen::Dynamic, 512); }) ==
        has + "expected [?, 512]");
  CHECK(message_of<FormatError>([&] { (void)reader.vector<float>("t"); }) == has + "expected [?]");
  CHECK(message_of<FormatError>([&] { (void)reader.expect_shape("t", {}); }) ==
        has + "expected []");
  CHECK(message_of<FormatError>([&] {
          (void)reader.expect_shape("t", {2, 3, 1});
        }) == has + "expected [2, 3, 1]");
  CHECK(&reader.expect_shape("t", {2, -1}) == &reader.tensor("t"));
  const SafetensorsReader cube = one(folder, "F32", "[1,2,3]", std::string(24, '\0'));
  CHECK(contains(message_of<FormatError>([&] { (void)cube.matrix<float>("t"); }),
                 "has shape [1, 2, 3], expected [?, ?]"));
  CHECK(cube.numbers<float>("t").size() == 6);
}

TEST_CASE("a dimension beyond an Index is refused where a matrix is asked for", "[io][error]") {
  const TemporaryFolder folder;
  const SafetensorsReader reader = one(folder, "F32", "[0,18446744073709551615]", "");
  CHECK(contains(message_of<FormatError>([&] { (void)reader.matrix<float>("t"); }),
                 "has shape [0, 18446744073709551615], expected [?, ?]"));
  CHECK(reader.numbers<float>("t").empty());
}

TEST_CASE("a missing tensor is named beside those that are there", "[io][error]") {
  const TemporaryFolder folder;
  std::string header = "{";
  for (char name = 'k'; name >= 'a'; --name) {
    header += safetensors_entry({name}, "U8", "[0]", 0, 0) + (name == 'a' ? "}" : ",");
  }
  const std::string path = folder.write("many", safetensors_bytes(header, ""));
  const SafetensorsReader reader(path);
  CHECK(message_of<FormatError>([&] { (void)reader.numbers<float>("weights"); }) ==
        path +
            ": has no tensor \"weights\", it has \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", "
            "\"h\", ...");
}

TEST_CASE("large tensors are converted block by block", "[io][property]") {
  const TemporaryFolder folder;
  constexpr std::size_t count = 100'003;  // several blocks and a part of one
  std::vector<std::uint16_t> bits(count);
  std::vector<std::int32_t> whole(count);
  for (std::size_t i = 0; i < count; ++i) {
    bits[i] = static_cast<std::uint16_t>(i * 40'503U);
    whole[i] = static_cast<std::int32_t>(i) - 50'000;
  }
  const std::string shape = "[" + std::to_string(count) + "]";
  const std::vector<double> numbers =
      one(folder, "BF16", shape, numbers_bytes(bits)).numbers<double>("t");
  const std::vector<std::int64_t> integers =
      one(folder, "I32", shape, numbers_bytes(whole)).integers<std::int64_t>("t");
  int wrong = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double expected = double{from_bf16(bits[i])};
    const bool same = std::isnan(expected) ? std::isnan(numbers[i]) : numbers[i] == expected;
    if (!same || integers[i] != whole[i]) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("several threads read one file at the same time", "[io]") {
  const TemporaryFolder folder;
  std::vector<double> values(50'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const SafetensorsReader reader = one(folder, "F64", "[50000]", numbers_bytes(values));
  std::vector<std::vector<double>> results(4);
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (auto& result : results) {
      threads.emplace_back([&] { result = reader.numbers<double>("t"); });
    }
  }
  for (const auto& result : results) CHECK(result == values);
}

TEST_CASE("a mapped file gives the very tensors of one that is read", "[io][property]") {
  const TemporaryFolder folder;
  const std::string header = "{" + safetensors_entry("byte", "U8", "[1]", 0, 1) + "," +
                             safetensors_entry("half", "BF16", "[3]", 1, 7) + "," +
                             safetensors_entry("none", "F64", "[0,5]", 7, 7) + "," +
                             safetensors_entry("wide", "F64", "[1,2]", 7, 23) + "," +
                             safetensors_entry("packed", "F4", "[2]", 23, 24) + "}";
  const std::string data = "\x05" + numbers_bytes<std::uint16_t>({0x3F80, 0x4000, 0x4040}) +
                           numbers_bytes<double>({0.1, -7}) + "\x7E";
  const std::string path = folder.write("odd", safetensors_bytes(header, data));
  const SafetensorsReader read(path);
  const SafetensorsReader mapped(path, {.mapped = true});
  CHECK(read.path() == path);
  CHECK(mapped.path() == path);
  CHECK(mapped.tensors().size() == 5);
  CHECK(mapped.integers<int>("byte") == read.integers<int>("byte"));
  CHECK(mapped.vector<float>("half") == read.vector<float>("half"));
  CHECK((mapped.matrix<double>("wide", 1, 2) == read.matrix<double>("wide", 1, 2)));
  CHECK(mapped.numbers<double>("wide") == std::vector<double>{0.1, -7});
  CHECK(mapped.matrix<float>("none").cols() == 5);
  CHECK(mapped.view("none").empty());
  for (const TensorInfo& info : mapped.tensors()) {
    CAPTURE(info.name);
    const std::span<const std::byte> view = mapped.view(info.name);
    CHECK(mapped.bytes(info.name) == read.bytes(info.name));
    CHECK(std::vector<std::byte>(view.begin(), view.end()) == read.bytes(info.name));
  }
}

TEST_CASE("a view stays where it is when its reader moves", "[io]") {
  const TemporaryFolder folder;
  const std::string path = folder.write(
      "f",
      safetensors_bytes("{" + safetensors_entry("t", "U8", "[3]", 0, 3) + "}", "\x01\x02\x03"));
  SafetensorsReader first(path, {.mapped = true});
  const std::span<const std::byte> view = first.view("t");
  const SafetensorsReader second = std::move(first);
  std::filesystem::remove(path);
  CHECK(second.view("t").data() == view.data());
  CHECK(view[2] == std::byte{3});
}

TEST_CASE("a view is refused where the file is not mapped", "[io][error]") {
  const TemporaryFolder folder;
  const SafetensorsReader reader = one(folder, "U8", "[1]", "\x05");
  const std::string path = folder.file("one.safetensors");
  CHECK(message_of<ArgumentError>([&] { (void)reader.view("t"); }) ==
        path + ": tensor \"t\" has no view, expected a reader with the option mapped");
  const SafetensorsReader mapped(path, {.mapped = true});
  CHECK(message_of<FormatError>([&] { (void)mapped.view("u"); }) ==
        path + ": has no tensor \"u\", it has \"t\"");
}

TEST_CASE("a broken file is refused alike whether it is read or mapped", "[io][error]") {
  const TemporaryFolder folder;
  const std::string entry = "{" + safetensors_entry("t", "F32", "[4]", 0, 16) + "}";
  const std::vector<std::string> files{
      folder.write("empty", ""),
      folder.write("short", std::string(9, '\0')),
      folder.write("lying", little_endian(~std::uint64_t{}, 8) + "{}      "),
      folder.write("cut", safetensors_bytes(entry, std::string(15, '\0'))),
      folder.write("long", safetensors_bytes(entry, std::string(17, '\0'))),
      folder.write("json", safetensors_bytes("{\"a\":1} ", "")),
      folder.file("."),
      folder.file("missing"),
  };
  for (const std::string& path : files) {
    const std::string read = message_of<Error>([&] { const SafetensorsReader reader(path); });
    CHECK(read.starts_with(path + ": "));
    CHECK(message_of<Error>([&] { const SafetensorsReader reader(path, {.mapped = true}); }) ==
          read);
  }
}
