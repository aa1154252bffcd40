#include "atomic_file.hpp"

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

namespace vitrail::codec {
namespace fs = std::filesystem;

namespace {

/// A symbolic link stays one: the file it points to is made or replaced.
fs::path followed(fs::path path) {
  constexpr int most = 40;  // as Linux
  std::error_code error;
  for (int i = 0; i < most && fs::is_symlink(path, error); ++i) {
    const fs::path to = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / to;  // `to`, where that is absolute
  }
  return path;
}

}  // namespace

AtomicFile::AtomicFile(std::FILE* file, fs::path target, fs::path written)
    : file_(file), target_(std::move(target)), written_(std::move(written)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      target_(std::move(other.target_)),
      written_(std::exchange(other.written_, {})) {}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) std::fclose(file_);
  std::error_code ignored;
  if (!written_.empty()) fs::remove(written_, ignored);
}

Error AtomicFile::failed(const std::string& why) const {
  return Error{ErrorCode::io, target_.string() + ": cannot be written: " + why};
}

Result<AtomicFile> AtomicFile::create(const fs::path& target) {
  std::error_code ignored;
  const fs::file_status status = fs::status(target, ignored);
  AtomicFile none(nullptr, target, {});
  if (fs::is_directory(status)) return none.failed("it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    std::FILE* file = std::fopen(target.c_str(), "wb");
    if (file == nullptr) return none.failed(std::strerror(errno));
    return AtomicFile(file, target, {});
  }
  const fs::path real = followed(target);
  std::random_device random;
  for (int attempt = 0; attempt < 16; ++attempt) {
    const fs::path beside = real.parent_path() / (".vitrail-" + std::to_string(random()) + ".part");
    // "x": never opens a file that is there. The mode is the user's umask's, as for any other file, or that of the file
    // it replaces.
    if (std::FILE* file = std::fopen(beside.c_str(), "wbx")) {
      if (fs::exists(status)) fs::permissions(beside, status.permissions(), ignored);
      return AtomicFile(file, real, beside);
    }
    if (errno != EEXIST) break;
  }
  return none.failed(std::strerror(errno));
}

Status AtomicFile::commit() {
  const bool bad = std::ferror(file_) != 0;
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (bad || !closed) return failed(errno != 0 ? std::strerror(errno) : "the disk may be full");
  if (written_.empty()) return {};
  std::error_code error;
  fs::rename(written_, target_, error);
  if (error) return failed(error.message());
  written_.clear();
  return {};
}

}  // namespace vitrail::codec
