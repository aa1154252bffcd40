// The tensors of a model's files, handed out by name: shapes are checked, and what nobody asked for is found at the
// end.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/checks.hpp"
#include "runtime/model/network.hpp"
#include "runtime/model/safetensors.hpp"

namespace vitrail {

/// Borrows the files and `errors`, which records the first tensor that is missing or not as expected; after that the
/// views handed out are empty.
class TensorSet {
 public:
  TensorSet(const Safetensors& files, FirstError& errors) : files_(files), errors_(errors) {}

  bool has(std::string_view name) const { return files_.find(name) != nullptr; }
  /// The lengths of a tensor, to learn hyper-parameters from; empty when it is missing.
  std::vector<std::int64_t> shape(std::string_view name) const;

  /// Leading lengths of 1 in the file are tolerated; the view has `shape`.
  TensorView take(const std::string& name, std::vector<std::int64_t> shape);
  NormSource norm(const std::string& prefix, int width);
  /// Appends prefix.weight [out, in] and prefix.bias [out] to `linear`.
  void add_part(LinearSource& linear, const std::string& prefix, int out, int in, bool bias = true);
  LinearSource linear(const std::string& prefix, int out, int in, bool bias = true);
  /// Counts as taken if it is there: known to be without effect.
  void ignore(const std::string& name) { taken_.insert(name); }

  /// The same for all tensors whose names begin so.
  void ignore_all(std::string_view prefix);

  /// Refuses tensors whose names tell of arithmetic that this family does not run (LayerScale, registers …), saying so.
  void refuse_known_variants(std::initializer_list<std::string_view> but = {}) const;
  /// Refuses the first tensor that was not taken: a network with more tensors is another network.
  void refuse_the_rest() const;

  FirstError& errors() const { return errors_; }
  /// Records an error that begins with the file.
  void fail(const std::string& message, ErrorCode code = ErrorCode::bad_file) const;

 private:
  const Safetensors& files_;
  FirstError& errors_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace vitrail
