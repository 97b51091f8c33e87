// SPDX-License-Identifier: MIT
#include "cl_benchmark/matrix_json.hpp"

#include <utility>

namespace cl_benchmark {

using anyssr::Index;
using anyssr::Json;

namespace {

/// @param entry  called with a row and a column
template <class Entry>
Json square_json(Index size, const Entry& entry) {
  Json rows = Json::array();
  for (Index i = 0; i < size; ++i) {
    Json row = Json::array();
    for (Index j = 0; j < size; ++j) row.push_back(entry(i, j));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

Json json_of(const anyssr::AccuracyMatrix& accuracy) {
  return square_json(accuracy.tasks(), [&](Index i, Index j) {
    return accuracy.has(i, j) ? Json(accuracy(i, j)) : Json();
  });
}

Json json_of(const anyssr::ConfusionMatrix& confusion) {
  return square_json(confusion.labels(),
                     [&](Index i, Index j) { return Json(confusion.count(i, j)); });
}

Json json_of(const std::vector<MergeFinding>& merges) {
  Json list = Json::array();
  for (const MergeFinding& finding : merges) {
    list.push_back({{"tasks", finding.tasks},
                    {"suggested", finding.is_suggested},
                    {"misrouted", finding.misrouted},
                    {"accuracy_before", finding.accuracy_before},
                    {"accuracy_after", finding.accuracy_after},
                    {"average_before", finding.average_before},
                    {"average_after", finding.average_after}});
  }
  return list;
}

}  // namespace cl_benchmark
