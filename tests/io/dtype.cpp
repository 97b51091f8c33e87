// SPDX-License-Identifier: MIT
#include "anyssr/io/dtype.hpp"

#include <limits>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace anyssr;
using Shape = std::vector<std::uint64_t>;

static_assert(dtype_of<float>() == Dtype::F32 && dtype_of<double>() == Dtype::F64);
static_assert(dtype_of<std::int64_t>() == Dtype::I64 && dtype_of<std::uint64_t>() == Dtype::U64);
static_assert(dtype_of<long long>() == Dtype::I64 && dtype_of<Eigen::Index>() == Dtype::I64);
static_assert(dtype_of<int>() == Dtype::I32 && dtype_of<unsigned>() == Dtype::U32);
static_assert(dtype_of<short>() == Dtype::I16 && dtype_of<std::uint16_t>() == Dtype::U16);
static_assert(dtype_of<std::int8_t>() == Dtype::I8 && dtype_of<std::uint8_t>() == Dtype::U8);
static_assert(dtype_of<bool>() == Dtype::BOOL);
static_assert(IntegerScalar<long> && !IntegerScalar<bool> && !IntegerScalar<char>);
static_assert(!IntegerScalar<char32_t> && !IntegerScalar<float> && !IntegerScalar<const int>);
static_assert(TensorScalar<bool> && TensorScalar<double> && !TensorScalar<char>);
static_assert(!TensorScalar<long double>);

TEST_CASE("a dtype is known by its exact name and in no other letters", "[io][golden]") {
  struct Row {
    const char* name;
    unsigned bits;
    DtypeKind kind;
  };
  const DtypeKind number = DtypeKind::number;
  const DtypeKind integer = DtypeKind::integer;
  const DtypeKind opaque = DtypeKind::opaque;
  const std::vector<Row> rows{
      {"F64", 64, number},        {"F32", 32, number},    {"F16", 16, number},
      {"BF16", 16, number},       {"I64", 64, integer},   {"U64", 64, integer},
      {"I32", 32, integer},       {"U32", 32, integer},   {"I16", 16, integer},
      {"U16", 16, integer},       {"I8", 8, integer},     {"U8", 8, integer},
      {"BOOL", 8, integer},       {"C64", 64, opaque},    {"F8_E4M3", 8, opaque},
      {"F8_E5M2", 8, opaque},     {"F8_E8M0", 8, opaque}, {"F8_E4M3FNUZ", 8, opaque},
      {"F8_E5M2FNUZ", 8, opaque}, {"F6_E2M3", 6, opaque}, {"F6_E3M2", 6, opaque},
      {"F4", 4, opaque}};
  CHECK(rows.size() == detail::dtype_table.size());
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const std::optional<Dtype> dtype = find_dtype(row.name);
    REQUIRE(dtype.has_value());
    CHECK(to_string(*dtype) == row.name);
    CHECK(bits_of(*dtype) == row.bits);
    CHECK(kind_of(*dtype) == row.kind);
  }
  for (const char* name : {"f32", "F128", "F8", "", "F32 ", "bool", "BF"}) {
    CAPTURE(name);
    CHECK_FALSE(find_dtype(name).has_value());
  }
  CHECK(find_dtype("BF16") == Dtype::BF16);
  CHECK(find_dtype("F4") == Dtype::F4);
  CHECK(dtype_names(DtypeKind::number) == "F64, F32, F16, BF16");
}

TEST_CASE("the size of a tensor overflows at the first step and not at the last", "[io][golden]") {
  const auto bits = [](Dtype dtype, const Shape& shape) {
    const auto size = detail::tensor_size(dtype, shape);
    return size ? std::to_string(size->bits) : std::string("overflow");
  };
  constexpr std::uint64_t top = std::uint64_t{1} << 63U;
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(bits(Dtype::F32, {}) == "32");
  CHECK(bits(Dtype::F32, {4, 8}) == "1024");
  CHECK(bits(Dtype::F4, {3}) == "12");
  CHECK(bits(Dtype::F64, {0, most, most}) == "0");
  CHECK(bits(Dtype::F64, {most, 0}) == "0");
  CHECK(bits(Dtype::F64, {top, 2, 0}) == "overflow");
  CHECK(bits(Dtype::F64, {2, top, 0}) == "overflow");
  CHECK(bits(Dtype::U8, {most / 8}) == std::to_string(most / 8 * 8));
  CHECK(bits(Dtype::U8, {most / 8 + 1}) == "overflow");
}

TEST_CASE("two types have a narrowest one that holds both", "[io][golden]") {
  CHECK(common_dtype(Dtype::F16, Dtype::F16) == Dtype::F16);
  CHECK(common_dtype(Dtype::BF16, Dtype::BF16) == Dtype::BF16);
  CHECK(common_dtype(Dtype::F16, Dtype::BF16) == Dtype::F32);
  CHECK(common_dtype(Dtype::BF16, Dtype::F16) == Dtype::F32);
  CHECK(common_dtype(Dtype::F32, Dtype::BF16) == Dtype::F32);
  CHECK(common_dtype(Dtype::F16, Dtype::F64) == Dtype::F64);
}
