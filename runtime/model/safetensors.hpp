// The safetensors format: 8 bytes of header length (little-endian), a JSON header, then the tensors without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/model/mapped_file.hpp"
#include "vitrail/error.hpp"

namespace vitrail {

/// A tensor as the file stores it; its bytes lie inside the file and number product(shape) · size of the dtype.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< as the file says it: "F32", "BF16", "I64" …
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  std::string file;                     ///< for messages
  const MappedFile* mapping = nullptr;  ///< where data is
};

/// The tensors of one file or of a sharded set, sorted by name. Names are unique.
class Safetensors {
 public:
  /// One file. Refused: a header that is not exactly the format's, tensors that overlap, leave gaps or leave the file.
  static Result<Safetensors> open(const std::filesystem::path& file);

  /// `model.safetensors` in a folder, or the shards of its `model.safetensors.index.json`.
  static Result<Safetensors> open_folder(const std::filesystem::path& folder);

  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const StoredTensor* find(std::string_view name) const;
  /// Keeps the bytes of all tensors alive.
  std::shared_ptr<const void> files() const { return files_; }
  /// The file (or the index of the shards), for messages.
  const std::string& file() const { return file_; }

 private:
  static Result<Safetensors> open_shards(const std::filesystem::path& index);

  std::string file_;
  std::vector<StoredTensor> tensors_;
  std::shared_ptr<const void> files_;
};

}  // namespace vitrail
