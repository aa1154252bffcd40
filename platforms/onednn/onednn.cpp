// The only file that includes oneDNN (2.6 … 3.x). It is asked for whole tiles, u8 × s8 → s32 without attributes, and
// trusted only when the implementation it picked is on the list of those known to be exact.
#include "platforms/onednn/onednn.hpp"

#include <array>
#include <oneapi/dnnl/dnnl.hpp>
#include <string_view>
#include <vector>

// Weak: there when oneDNN was built with OpenMP and so brought it along.
extern "C" [[gnu::weak]] void omp_set_num_threads(int);
extern "C" [[gnu::weak]] int omp_get_max_threads();

namespace vitrail::onednn {
namespace {

/// Implementations that were run and found equal to the reference. `gemm:jit` is not here: it is the name of reference
/// code too, and plain avx512_core saturates.
constexpr std::array<std::string_view, 3> exact{"brg:avx512_core_vnni", "brg:avx512_core_amx_int8",
                                                "brg_matmul:avx10_1_512"};

/// One OpenMP thread while it lives: our own pool splits the tiles. OpenMP keeps the setting per calling thread, which
/// may be an application's, so it is put back.
class OneThread {
 public:
  OneThread() noexcept {
    if (!omp_set_num_threads || !omp_get_max_threads) return;
    before_ = omp_get_max_threads();
    omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ > 1) omp_set_num_threads(before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = 0;
};

class Provider final : public GemmProvider {
 public:
  explicit Provider(int threads) : engine_(dnnl::engine::kind::cpu, 0), threads_(static_cast<std::size_t>(threads)) {
    for (int t = 0; t < threads; ++t) streams_.emplace_back(engine_);
  }

  bool prepare(int rows, int k_padded, int panels, std::string& why) override;
  bool run(const GemmU8S8Tile& tile, int thread) noexcept override;
  std::string name() const override {
    const dnnl_version_t* v = dnnl_version();
    return "onednn " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch) +
           (implementation_.empty() ? "" : " (" + implementation_ + ")");
  }

 private:
  /// A primitive, and for each thread the memory objects whose pointers run() sets.
  struct Shape {
    int rows, k_padded, panels;
    dnnl::matmul primitive;
    std::vector<std::array<dnnl::memory, 4>> arguments;  ///< source, weights, destination, scratchpad
    std::vector<std::vector<std::byte>> scratchpads;
  };
  Shape* find(int rows, int k_padded, int panels) noexcept {
    for (auto& s : shapes_)
      if (s.rows == rows && s.k_padded == k_padded && s.panels == panels) return &s;
    return nullptr;
  }

  dnnl::engine engine_;
  std::size_t threads_;
  std::vector<dnnl::stream> streams_;
  std::vector<Shape> shapes_;
  std::string implementation_;
};

bool Provider::prepare(int rows, int k_padded, int panels, std::string& why) try {
  using dnnl::memory;
  if (find(rows, k_padded, panels)) return true;
  const OneThread one_thread;
  const memory::dim m = rows, k = k_padded, n = static_cast<memory::dim>(panels) * PackedS8::panel;
  const memory::desc src({m, k}, memory::data_type::u8, memory::dims{k, 1});
  const memory::desc weights({k, n}, memory::data_type::s8, memory::format_tag::BA16a64b4a);  // PackedS8
  const memory::desc dst({m, n}, memory::data_type::s32, memory::dims{n, 1});
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(engine_, src, weights, dst, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(src, weights, dst), attributes, engine_);
#endif
  const std::string_view found = description.impl_info_str();
  bool allowed = false;
  for (const auto name : exact) allowed |= name == found;
  if (!allowed) {
    why = "oneDNN: not used, its '" + std::string(found) + "' is not on the list of exact implementations";
    return false;
  }
  implementation_ = found;
  Shape shape{rows, k_padded, panels, dnnl::matmul(description), {}, {}};
  for (std::size_t t = 0; t < threads_; ++t) {
    shape.scratchpads.emplace_back(description.scratchpad_desc().get_size());
    shape.arguments.push_back({memory(src, engine_, nullptr), memory(weights, engine_, nullptr),
                               memory(dst, engine_, nullptr),
                               memory(description.scratchpad_desc(), engine_, shape.scratchpads.back().data())});
  }
  shapes_.push_back(std::move(shape));
  return true;
} catch (const dnnl::error& error) {
  why = "oneDNN: not used, it refused the product: " + std::string(error.what());
  return false;
}

bool Provider::run(const GemmU8S8Tile& tile, int thread) noexcept {
  const int panels = (tile.cols + PackedS8::panel - 1) / PackedS8::panel;
  Shape* shape = find(tile.rows, tile.k_padded, panels);
  // The strides are part of a prepared shape.
  if (!shape || tile.lda_bytes != static_cast<std::size_t>(tile.k_padded) ||
      tile.ldacc != static_cast<std::size_t>(panels) * PackedS8::panel)
    return false;
  const OneThread one_thread;
  auto& [src, weights, dst, scratchpad] = shape->arguments[static_cast<std::size_t>(thread)];
  // The C interface: the C++ one would build a map, and so allocate, on every call.
  if (dnnl_memory_set_data_handle(src.get(), const_cast<std::uint8_t*>(tile.a)) != dnnl_success ||
      dnnl_memory_set_data_handle(weights.get(), const_cast<std::int8_t*>(tile.b)) != dnnl_success ||
      dnnl_memory_set_data_handle(dst.get(), tile.acc) != dnnl_success)
    return false;
  const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, src.get()},
                                       {DNNL_ARG_WEIGHTS, weights.get()},
                                       {DNNL_ARG_DST, dst.get()},
                                       {DNNL_ARG_SCRATCHPAD, scratchpad.get()}};
  return dnnl_primitive_execute(shape->primitive.get(), streams_[static_cast<std::size_t>(thread)].get(), 4,
                                arguments) == dnnl_success;
}

}  // namespace

std::unique_ptr<GemmProvider> make_provider(int threads, std::string& why) try {
  return std::make_unique<Provider>(threads);
} catch (const dnnl::error& error) {
  why = "it could not start: " + std::string(error.what());
  return nullptr;
}

}  // namespace vitrail::onednn
