// SPDX-License-Identifier: MIT
#include "anyssr/io/half.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "anyssr/core/random.hpp"
#include "support/catch.hpp"

using namespace anyssr;

namespace {

/// One of the two formats, and its values by the definition.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  float (*widen)(std::uint16_t);
  std::uint16_t (*from_float)(float);
  std::uint16_t (*from_double)(double);

  unsigned infinity() const { return ((1U << exponent_bits) - 1) << mantissa_bits; }

  /// (-1)^s 2^(e - bias) (1 + m / 2^M), or (-1)^s 2^(1 - bias) m / 2^M where e is 0.
  double value(std::uint16_t bits) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (bits & 0x7FFF) >> mantissa_bits;
    const int mantissa = bits & ((1 << mantissa_bits) - 1);
    const double sign = (bits & 0x8000) != 0 ? -1 : 1;
    if (exponent == (1 << exponent_bits) - 1) {
      return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    }
    const int leading = exponent == 0 ? 0 : 1 << mantissa_bits;
    return sign * std::ldexp(leading + mantissa, std::max(exponent, 1) - bias - mantissa_bits);
  }

  /// The nearest of all finite patterns and 2^(largest exponent + 1), which stands for infinity;
  /// of two at the same distance the even one. The differences are exact in double for a |x| of
  /// at most 40 significant bits between the format's ends.
  std::uint16_t nearest(double x) const {
    const double size = std::abs(x);
    unsigned best = 0;
    double best_distance = size;
    const double top = std::ldexp(1.0, 1 << (exponent_bits - 1));
    for (unsigned bits = 1; bits <= infinity(); ++bits) {
      const double candidate = bits == infinity() ? top : value(static_cast<std::uint16_t>(bits));
      const double distance = std::abs(size - candidate);
      if (distance < best_distance || (distance == best_distance && bits % 2 == 0)) {
        best = bits;
        best_distance = distance;
      }
    }
    return static_cast<std::uint16_t>(best | (std::signbit(x) ? 0x8000U : 0U));
  }
};

const Format f16_format{5, 10, from_f16, to_f16<float>, to_f16<double>};
const Format bf16_format{8, 7, from_bf16, to_bf16<float>, to_bf16<double>};

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// Patterns that disagree with `agrees`.
template <class Agrees>
int count_wrong(const Agrees& agrees) {
  int wrong = 0;
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    if (!agrees(static_cast<std::uint16_t>(bits))) ++wrong;
  }
  return wrong;
}

}  // namespace

static_assert(to_f16(1.0F) == 0x3C00 && to_bf16(1.0) == 0x3F80);
static_assert(from_f16(0x7BFF) == 65504.0F && from_bf16(0xC040) == -3.0F);

TEST_CASE("every 16-bit pattern widens to the number of its definition", "[io][property]") {
  for (const Format& format : {f16_format, bf16_format}) {
    CAPTURE(format.mantissa_bits);
    CHECK(count_wrong([&](std::uint16_t bits) {
            const double expected = format.value(bits);
            const double widened = double{format.widen(bits)};
            return std::isnan(expected) ? std::isnan(widened) : same_bits(widened, expected);
          }) == 0);
  }
}

TEST_CASE("every 16-bit pattern survives the way there and back", "[io][property]") {
  for (const Format& format : {f16_format, bf16_format}) {
    CAPTURE(format.mantissa_bits);
    CHECK(count_wrong([&](std::uint16_t bits) {
            return format.from_float(format.widen(bits)) == bits;
          }) == 0);
    CHECK(count_wrong([&](std::uint16_t bits) {  // a cast to double may make a NaN quiet
            const std::uint16_t back = format.from_double(double{format.widen(bits)});
            return std::isnan(format.value(bits)) ? std::isnan(format.value(back)) : back == bits;
          }) == 0);
  }
}

TEST_CASE("between two patterns the nearer one is taken and the even one halfway",
          "[io][property]") {
  for (const Format& format : {f16_format, bf16_format}) {
    CAPTURE(format.mantissa_bits);
    int wrong = 0;
    for (unsigned low = 0; low < format.infinity(); ++low) {
      const unsigned high = low + 1;  // infinity's place is one step beyond the largest number
      const double below = format.value(static_cast<std::uint16_t>(low));
      const double step =
          low == 0 ? format.value(1) : below - format.value(static_cast<std::uint16_t>(low - 1));
      const double middle = high == format.infinity()
                                ? below + step / 2
                                : below / 2 + format.value(static_cast<std::uint16_t>(high)) / 2;
      const unsigned even = low % 2 == 0 ? low : high;
      const auto middle_float = static_cast<float>(middle);  // exact: one bit more than the format
      for (const unsigned sign : {0U, 0x8000U}) {
        const double s = sign == 0 ? 1 : -1;
        const float sf = sign == 0 ? 1.0F : -1.0F;
        wrong += format.from_double(s * middle) != (sign | even) ? 1 : 0;
        wrong += format.from_double(s * std::nextafter(middle, 0.0)) != (sign | low) ? 1 : 0;
        wrong += format.from_double(s * std::nextafter(middle, HUGE_VAL)) != (sign | high) ? 1 : 0;
        wrong += format.from_float(sf * middle_float) != (sign | even) ? 1 : 0;
        wrong += format.from_float(sf * std::nextafter(middle_float, 0.0F)) != (sign | low) ? 1 : 0;
        wrong += format.from_float(sf * std::nextafter(middle_float, HUGE_VALF)) != (sign | high)
                     ? 1
                     : 0;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("random numbers round to the nearest of all patterns", "[io][property]") {
  RandomStream random(11);
  for (int i = 0; i < 300; ++i) {
    const float value = std::ldexp(random.normal(), static_cast<int>(random.below(44)) - 26);
    CAPTURE(value);
    CHECK(to_f16(value) == f16_format.nearest(double{value}));
    CHECK(to_f16(double{value}) == f16_format.nearest(double{value}));
    CHECK(to_bf16(value) == bf16_format.nearest(double{value}));
  }
}

TEST_CASE("numbers at the ends become zero and infinity with their sign", "[io][golden]") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(to_f16(65519.996F) == 0x7BFF);
  CHECK(to_f16(65520.0F) == 0x7C00);
  CHECK(to_f16(-infinity) == 0xFC00);
  CHECK(to_f16(1e300) == 0x7C00);
  CHECK(to_f16(-1e-300) == 0x8000);
  CHECK(to_f16(std::numeric_limits<double>::denorm_min()) == 0);
  CHECK(to_f16(-0.0F) == 0x8000);
  CHECK(to_bf16(std::numeric_limits<float>::max()) == 0x7F80);
  CHECK(to_bf16(std::numeric_limits<double>::max()) == 0x7F80);
  CHECK(to_bf16(infinity) == 0x7F80);
  CHECK(to_bf16(std::numeric_limits<float>::denorm_min()) == 0);
}

TEST_CASE("NaN stays NaN whatever its payload", "[io][property]") {
  const unsigned payload = GENERATE(1U, 2U, 0x1FFFU, 0x2000U, 0xFFFFU, 0x400000U, 0x7FFFFFU);
  const unsigned sign = GENERATE(0U, 0x80000000U);
  CAPTURE(payload, sign);
  const auto value = std::bit_cast<float>(sign | 0x7F800000U | payload);
  CHECK((to_f16(value) & 0x7FFFU) > 0x7C00U);
  CHECK((to_bf16(value) & 0x7FFFU) > 0x7F80U);
  CHECK((to_f16(value) & 0x8000U) == sign >> 16U);
  CHECK((to_bf16(value) & 0x8000U) == sign >> 16U);
  const auto wide =
      std::bit_cast<double>((std::uint64_t{sign} << 32U) | 0x7FF0000000000000U | payload);
  CHECK((to_f16(wide) & 0x7FFFU) > 0x7C00U);
  CHECK((to_bf16(wide) & 0x7FFFU) > 0x7F80U);
}
