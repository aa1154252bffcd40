#include "atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// Tries names beside the target until one is free: `take` says whether it has taken the name, or leaves EEXIST.
/// Returns the name that was taken; errno says why there is none.
template <class Take>
fs::path name_beside(const fs::path& target, const Take& take) {
  std::random_device random;
  for (int attempt = 0; attempt < 16; ++attempt) {
    fs::path beside = target.parent_path() / (".vitrail-" + std::to_string(random()) + ".part");
    if (take(beside)) return beside;
    if (errno != EEXIST) break;
  }
  return {};
}

constexpr const char* kHandles = "/proc/self/fd";

/// A file in this folder that has no name yet; null where the system or the file system knows none.
std::FILE* open_nameless([[maybe_unused]] const fs::path& folder) {
#ifdef O_TMPFILE
  std::error_code ignored;
  if (!fs::is_directory(kHandles, ignored)) return nullptr;  // it could not be named
  const int handle = ::open(folder.empty() ? "." : folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (handle >= 0) return ::fdopen(handle, "wb");
#endif
  return nullptr;
}

/// Gives such a file a name, if nothing else has it.
bool take_name(std::FILE* nameless, const fs::path& name) {
  const fs::path handle = fs::path(kHandles) / std::to_string(fileno(nameless));
  return ::linkat(AT_FDCWD, handle.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

}  // namespace

AtomicFile::AtomicFile(std::FILE* file, fs::path target, bool nameless, fs::path written)
    : file_(file), target_(std::move(target)), nameless_(nameless), written_(std::move(written)) {}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      target_(std::move(other.target_)),
      nameless_(other.nameless_),
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
  AtomicFile none(nullptr, target);  // not open yet
  if (fs::is_directory(status)) return none.failed("it is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    none.file_ = std::fopen(target.c_str(), "wb");
    if (none.file_ == nullptr) return none.failed(std::strerror(errno));
    return none;
  }
  fs::path real = followed(target);
  std::FILE* file = open_nameless(real.parent_path());
  const bool nameless = file != nullptr;
  fs::path written;
  // "x": never opens a file that is there.
  if (!nameless)
    written =
        name_beside(real, [&](const fs::path& name) { return (file = std::fopen(name.c_str(), "wbx")) != nullptr; });
  if (file == nullptr) return none.failed(std::strerror(errno));
  // The mode is the user's umask's, as for any other file, or that of the file it replaces.
  if (fs::exists(status)) ::fchmod(fileno(file), static_cast<mode_t>(status.permissions()));
  return AtomicFile(file, std::move(real), nameless, std::move(written));  // a copy could fail and leave the file
}

Status AtomicFile::commit() {
  std::string why;  // of the first step that failed
  const auto check = [&](bool done) {
    if (!done && why.empty()) why = std::strerror(errno);
  };
  check(std::ferror(file_) == 0 && std::fflush(file_) == 0);
  if (nameless_ && why.empty()) {
    written_ = name_beside(target_, [&](const fs::path& name) { return take_name(file_, name); });
    check(!written_.empty());
  }
  check(std::fclose(std::exchange(file_, nullptr)) == 0);
  if (!why.empty()) return failed(why);
  if (written_.empty()) return {};
  std::error_code error;
  fs::rename(written_, target_, error);
  if (error) return failed(error.message());
  written_.clear();
  return {};
}

}  // namespace vitrail::codec
