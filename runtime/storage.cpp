#include "runtime/storage.hpp"

#include <algorithm>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#endif

namespace vitrail {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;  // of x86 and of ARM with pages of 4 KB

}  // namespace

AlignedBytes reserve_aligned(std::uint64_t bytes) {
  const std::size_t size = align_up(std::max(addressable<std::byte>(bytes), std::size_t{1}));
  const bool huge = size >= huge_page;
  const std::size_t alignment = huge ? huge_page : storage_alignment, whole = align_up(size, alignment);
  auto* p = static_cast<std::byte*>(::operator new[](whole, std::align_val_t{alignment}));
#ifdef MADV_HUGEPAGE
  if (huge) ::madvise(p, whole, MADV_HUGEPAGE);  // a wish: where it is refused, pages are small
#endif
  return AlignedBytes(p, AlignedDelete{alignment});
}

AlignedBytes allocate_aligned(std::uint64_t bytes) {
  AlignedBytes block = reserve_aligned(bytes);
  std::memset(block.get(), 0, static_cast<std::size_t>(bytes));
  return block;
}

std::byte* Storage::take(std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t smallest = 0, largest = 0;  // a block for each array, so that its end is watched
#else
  // Each block about doubles what there is; what is not handed out is not touched, so it takes addresses only.
  constexpr std::size_t smallest = 64 * 1024, largest = std::size_t{32} << 20;
#endif
  const std::size_t whole = align_up(std::max(bytes, std::size_t{1}));
  auto block = std::find_if(blocks_.begin(), blocks_.end(), [=](const Block& b) { return b.size - b.used >= whole; });
  if (block == blocks_.end()) {
    const std::size_t size = std::max(whole, std::clamp(bytes_, smallest, largest));
    block = blocks_.insert(block, {reserve_aligned(size), size, 0});
  }
  std::byte* const p = block->memory.get() + block->used;
  block->used += whole;
  bytes_ += bytes;
  std::memset(p, 0, bytes);
  return p;
}

}  // namespace vitrail
