// A session's promises, on networks with random weights: one answer on every class of CPU, thread count and batch; no
// allocation in run(); clear errors.
#include "vitrail/session.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/support/allocations.hpp"
#include "tests/support/environment.hpp"
#include "tests/support/platforms.hpp"
#include "tests/support/random.hpp"
#include "vitrail/vitrail.hpp"

using namespace vitrail;

namespace {

Image noise(int width, int height, PixelFormat format = PixelFormat::rgb8, std::uint64_t seed = 11) {
  test::Random random(seed);
  Image image(width, height, format);
  for (int y = 0; y < height; ++y)
    for (std::size_t i = 0; i < image.row_bytes(); ++i)
      image.row(y)[i] = static_cast<std::uint8_t>(random.bits() % 200 + static_cast<std::uint64_t>(y % 50));
  return image;
}

Model network(const char* name, DType dtype) {
  LoadOptions options;
  options.dtype = dtype;
  return Model::random(name, options).value();
}

std::vector<float> logits(const Model& model, const std::vector<ImageView>& images, SessionOptions options) {
  options.max_batch = static_cast<int>(images.size());
  Session session = model.session(options).value();
  const Output out = session.run(images).value();
  return {out.logits.begin(), out.logits.end()};
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Every arithmetic a session can have: of the model, and of its attention.
constexpr std::pair<DType, DType> arithmetics[] = {
    {DType::int8, DType::int8}, {DType::int8, DType::f32}, {DType::f32, DType::f32}};

const char* const small = "vit_tiny_patch16_64";  // T = 17

}  // namespace

TEST_CASE("logits are bit-identical on every class of CPU, with and without oneDNN, on any number of threads") {
  for (const auto& [dtype, attention] : arithmetics) {
    const Image image = noise(64, 64);
    std::vector<float> expected;
    {
      const test::CpuLimit limit("reference");
      expected = logits(network(small, dtype), {image.view()}, {.attention = attention});
    }
    CHECK(expected.size() == 1000);
    for (const float x : expected) CHECK(std::isfinite(x));
    for (const auto& platform : test::platforms()) {
      CAPTURE(platform.name);
      const test::CpuLimit limit(platform.name);
      const Model model = network(small, dtype);
      for (const int threads : {1, 2}) {
        CAPTURE(threads);
        CHECK(same(logits(model, {image.view()}, {.threads = threads, .attention = attention}), expected));
      }
    }
    for (const char* onednn : {"0", "1"}) {  // the best class, nothing lowered
      const test::Environment use_onednn("VITRAIL_ONEDNN", onednn);
      const Model model = network(small, dtype);
      CHECK(same(logits(model, {image.view()}, {.threads = 5, .attention = attention}), expected));
    }
  }
}

TEST_CASE("a batch gives each picture the answer it gets alone") {
  const Model model = network(small, DType::int8);
  const Image a = noise(64, 64), b = noise(64, 64, PixelFormat::rgb8, 12), c = noise(90, 70, PixelFormat::rgb8, 13);
  auto together = logits(model, {a.view(), b.view(), c.view()}, {.threads = 2});
  std::vector<float> apart;
  for (const auto* image : {&a, &b, &c}) {
    const auto one = logits(model, {image->view()}, {});
    apart.insert(apart.end(), one.begin(), one.end());
  }
  CHECK(same(together, apart));
}

TEST_CASE("pixel formats and strides are only layouts") {
  const Model model = network(small, DType::int8);
  const Image rgb = noise(64, 64);
  const auto expected = logits(model, {rgb.view()}, {});
  Image bgr(64, 64, PixelFormat::bgr8), rgba(64, 64, PixelFormat::rgba8), bgra(64, 64, PixelFormat::bgra8);
  std::vector<std::uint8_t> wide(64 * 256, 99);
  for (int y = 0; y < 64; ++y) {
    std::memcpy(wide.data() + (63 - y) * 256, rgb.row(y), 192);
    for (int x = 0; x < 64; ++x)
      for (int ch = 0; ch < 3; ++ch) {
        const std::uint8_t v = rgb.row(y)[3 * x + ch];
        bgr.row(y)[3 * x + 2 - ch] = v;
        rgba.row(y)[4 * x + ch] = v;
        bgra.row(y)[4 * x + 2 - ch] = v;
        rgba.row(y)[4 * x + 3] = bgra.row(y)[4 * x + 3] = static_cast<std::uint8_t>(x);
      }
  }
  for (const auto* image : {&bgr, &rgba, &bgra}) CHECK(same(logits(model, {image->view()}, {}), expected));
  const ImageView bottom_up{wide.data() + 63 * 256, 64, 64, -256, PixelFormat::rgb8};
  CHECK(same(logits(model, {bottom_up}, {}), expected));
}

TEST_CASE("run() does not allocate after the first call with a picture's size") {
  for (const auto& [dtype, attention] : arithmetics)
    for (const int threads : {1, 3})
      for (const auto& [width, height, format] : {std::tuple{64, 64, PixelFormat::rgb8},
                                                  {64, 64, PixelFormat::bgra8},
                                                  {150, 110, PixelFormat::rgb8},
                                                  {150, 110, PixelFormat::rgba8}}) {
        const Model model = network(small, dtype);
        Session session = model
                              .session({.threads = threads,
                                        .attention = attention,
                                        .outputs = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states |
                                                   Outputs::attentions,
                                        .layers = {0, 11},
                                        .profile = true})
                              .value();
        const Image image = noise(width, height, format);
        CHECK(session.run(image));
        const auto before = test::allocations();
        for (int i = 0; i < 3; ++i) {
          const bool ok = static_cast<bool>(session.run(image));
          if (!ok) FAIL("run failed");
        }
        CHECK(test::allocations() == before);
      }
}

TEST_CASE("one model serves many sessions at once") {
  const Model model = network(small, DType::int8);
  const Image image = noise(64, 64);
  const auto expected = logits(model, {image.view()}, {});
  std::vector<std::thread> threads;
  std::atomic<int> equal{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      Session session = model.session().value();
      for (int i = 0; i < 3; ++i) {
        const Output out = session.run(image).value();
        equal += same({out.logits.begin(), out.logits.end()}, expected);
      }
    });
  for (auto& t : threads) t.join();
  CHECK(equal == 12);
}

TEST_CASE("outputs have the documented shapes and agree with each other") {
  const Model model = network(small, DType::f32);
  Session session =
      model.session({.max_batch = 2, .outputs = Outputs::standard | Outputs::patch_embed | Outputs::hidden_states})
          .value();
  const Image a = noise(64, 64), b = noise(64, 64, PixelFormat::rgb8, 5);
  const std::vector<ImageView> images{a, b};
  const Output out = session.run(images).value();
  const ModelInfo& info = model.info();
  const auto T = static_cast<std::size_t>(info.num_tokens), D = static_cast<std::size_t>(info.embed_dim);
  CHECK(info.num_patches == 16);
  CHECK(T == 17);
  CHECK(out.tokens.size() == 2 * T * D);
  CHECK(out.cls.size() == 2 * D);
  CHECK(out.pooled.size() == 2 * D);
  CHECK(out.patch_embed.size() == 2 * 16 * D);
  CHECK(out.hidden_states.size() == (static_cast<std::size_t>(info.num_layers) + 1) * 2 * T * D);
  CHECK(std::memcmp(out.cls.data() + D, out.tokens.data() + T * D, D * sizeof(float)) == 0);
  CHECK(session.timing().encode_ms > 0);
  CHECK(session.run(a).value().logits.size() == 1000);  // fewer than max_batch
}

TEST_CASE("bad arguments are refused by name") {
  const Model model = network(small, DType::int8);
  const auto message = [&](const SessionOptions& options) { return model.session(options).error().message; };
  for (const int threads : {0, -1, 257, 10000}) {
    CHECK(message({.threads = threads}).find("threads: found " + std::to_string(threads)) != std::string::npos);
    LoadOptions options;
    options.threads = threads;
    CHECK(!Model::random(small, options));
  }
  CHECK(message({.max_batch = 0}).find("max_batch: found 0, expected 1") != std::string::npos);
  {
    const test::CpuLimit limit("pentium");
    CHECK(message({}).find("'pentium', expected one of: reference") != std::string::npos);
  }
  {
    const test::CpuLimit limit("i8mm");
    const auto text = message({});
    if (test::platforms().back().name == "i8mm")
      CHECK(text.empty());
    else
      CHECK(text.find("'i8mm', which this CPU or this build lacks; expected one of: reference") != std::string::npos);
  }
  Session session = model.session().value();
  const Image image = noise(64, 64);
  const std::vector<ImageView> two{image, image};
  CHECK(session.run(two).error().message.find("images: found 2, expected 1 to 1") != std::string::npos);
  CHECK(!session.run(ImageView{}));
  CHECK(!session.run(ImageView{image.row(0), 64, 64, 10, PixelFormat::rgb8}));
  CHECK(session.run(image));  // still usable
}

namespace {

/// An application's threads: started for every job, and in no particular order.
class FreshThreads : public Executor {
 public:
  explicit FreshThreads(int threads) : threads_(threads) {}
  int threads() const noexcept override { return threads_; }
  void run(int count, Task task, const void* context) noexcept override {
    std::atomic<int> next{count};
    std::vector<std::thread> workers;
    for (int t = 0; t < threads_; ++t)
      workers.emplace_back([&, t] {
        for (int i; (i = --next) >= 0;) task(context, i, t);
      });
    for (auto& worker : workers) worker.join();
    ++jobs;
  }
  int jobs = 0;

 private:
  int threads_;
};

}  // namespace

TEST_CASE("an application may bring its own threads") {
  for (const auto& [dtype, attention] : arithmetics) {
    const Model model = network(small, dtype);
    const Image image = noise(64, 64);
    const auto expected = logits(model, {image.view()}, {.attention = attention});
    FreshThreads threads(3);
    CHECK(same(logits(model, {image.view()}, {.threads = 0, .executor = &threads, .attention = attention}), expected));
    CHECK(threads.jobs > 12);
    CHECK(model.session({.executor = &threads}).value().peak_gmacs_per_s() >= 0);
  }
  FreshThreads none(0);
  CHECK(
      network(small, DType::int8).session({.executor = &none}).error().message.find("threads(): found 0, expected 1") !=
      std::string::npos);
}

TEST_CASE("a profile lists every operation of a run, with all of its products") {
  for (const auto& [dtype, attention] : arithmetics) {
    const Model model = network(small, dtype);
    Session session = model.session({.threads = 2, .max_batch = 2, .attention = attention, .profile = true}).value();
    const Image image = noise(64, 64);
    for (const std::size_t batch : {2u, 1u}) {
      const std::vector<ImageView> images(batch, image.view());
      CHECK(session.run(images));
      std::uint64_t macs = 0;
      double end = 0;
      for (const Operation& o : session.profile()) {
        macs += o.macs;
        CHECK(o.start_ms >= end);  // one after the other
        end = o.start_ms + o.duration_ms;
      }
      // In int8, CLS attends once more by itself: D = 192, three heads.
      const bool apart = dtype == DType::int8 && attention == DType::int8;
      CHECK(macs == batch * (model.info().macs + (apart ? 192 * 192 + 3 * (2 * 192 * 192 + 2 * 17 * 192) : 0)));
      CHECK(end <= session.timing().encode_ms);
    }
  }
  CHECK(network(small, DType::int8).session().value().profile().empty());
}

TEST_CASE("the peak is known where the kernels are not the reference's") {
  for (const auto& platform : test::platforms()) {
    const test::CpuLimit limit(platform.name);
    const Model model = network(small, DType::int8);
    CHECK((model.session({.threads = 2}).value().peak_gmacs_per_s() > 0) == (platform.kernels.peak_u8s8 != nullptr));
  }
}

TEST_CASE("a session reads weights in the layout they were packed in") {
  const auto loaded_under = [](const std::string& name) {
    const test::CpuLimit limit(name);
    return network(small, DType::int8);
  };
  const auto platforms = test::platforms();
  for (const auto& load : platforms)
    for (const auto& run : platforms) {
      CAPTURE(load.name);
      CAPTURE(run.name);
      const Model model = loaded_under(load.name);
      const test::CpuLimit limit(run.name);
      const auto session = model.session();
      REQUIRE(static_cast<bool>(session) == (load.kernels.layout_s8 == run.kernels.layout_s8));
      if (!session)
        CHECK(session.error().message == std::string("VITRAIL_CPU, VITRAIL_ONEDNN: found settings that choose '") +
                                             run.kernels.gemm_name +
                                             "', expected those under which the model was loaded: its weights lie "
                                             "as '" +
                                             load.kernels.gemm_name + "' reads them");
    }
}

TEST_CASE("describe() names the classes of an emulated CPU, and any other is refused") {
  const char* expected = std::getenv("VITRAIL_TEST_CLASSES");  // CMakeLists.txt says what the CPU it emulates has
  if (expected == nullptr) return;
  const Model model = network(small, DType::int8);
  const std::string classes = std::string(expected) + "\n";
  CHECK(model.session().value().describe().find("cpu classes: " + classes) != std::string::npos);
  for (const std::string name : test::class_names) {
    CAPTURE(name);
    if (name == "reference" || classes.find(" " + name + ",") != std::string::npos ||
        classes.find(" " + name + "\n") != std::string::npos)
      continue;
    const test::CpuLimit limit(name);
    const auto session = model.session();
    REQUIRE(!session);
    CHECK(session.error().message ==
          "VITRAIL_CPU: found '" + name + "', which this CPU or this build lacks; expected one of: " + expected);
  }
}

TEST_CASE("describe() says which kernels run and why better ones do not") {
  const test::CpuLimit limit("reference");
  const Model model = network(small, DType::int8);
  const std::string text = model.session().value().describe();
  CHECK(text.find("row kernels: reference") != std::string::npos);
  CHECK(text.find("int8 product: reference") != std::string::npos);
  CHECK(text.find("oneDNN: not used") != std::string::npos);
  CHECK(text.find("dtype: int8, attention int8\n") != std::string::npos);
  CHECK(model.session({.attention = DType::f32}).value().describe().find("attention f32\n") != std::string::npos);
}

TEST_CASE("top_k sorts, breaks ties by index, and gives softmax probabilities") {
  const std::vector<float> values{1.0f, 3.0f, 3.0f, 0.0f};
  const auto best = top_k(values, 3);
  CHECK(best.size() == 3);
  CHECK(best[0].index == 1);
  CHECK(best[1].index == 2);
  CHECK(best[2].index == 0);
  const double sum = 2 + std::exp(-2.0) + std::exp(-3.0);
  CHECK(best[0].probability == doctest::Approx(1 / sum));
  CHECK(top_k(values, 99).size() == 4);
  CHECK(top_k(values, 0).empty());
  CHECK(top_k({}, 5).empty());
}

TEST_CASE("top_k of what is not finite: NaN last, infinity takes all") {
  const float nan = std::nanf(""), inf = HUGE_VALF;
  const auto indices = [](const std::vector<Prediction>& best) {
    std::vector<int> found;
    for (const Prediction& p : best) found.push_back(p.index);
    return found;
  };
  const auto some = top_k(std::vector<float>{1, nan, 3, nan, 5, 2}, 6);
  CHECK(indices(some) == std::vector<int>{4, 2, 5, 0, 1, 3});
  CHECK(some[0].probability == doctest::Approx(1 / (1 + std::exp(-2.0) + std::exp(-3.0) + std::exp(-4.0))));
  CHECK(some[4].probability == 0);
  const auto infinite = top_k(std::vector<float>{1, inf, -inf, inf}, 4);
  CHECK(indices(infinite) == std::vector<int>{1, 3, 0, 2});
  CHECK(infinite[0].probability == 0.5f);
  CHECK(infinite[2].probability == 0);
  CHECK(top_k(std::vector<float>{nan, nan}, 2)[1].probability == 0.5f);
}

TEST_CASE("a session keeps the kernels it was made with, whatever the environment says later") {
  const Model model = network(small, DType::int8);
  Session session = model.session().value();
  const Image large = noise(100, 80);
  const auto expected = logits(model, {large.view()}, {});
  const test::CpuLimit later("pentium");
  const auto out = session.run(large);
  REQUIRE_MESSAGE(out, out.error().message);
  CHECK(same({out->logits.begin(), out->logits.end()}, expected));
  CHECK(!Preprocessor(model.info().preprocess, 3).run(large));  // one without a session chooses when it plans
}

TEST_CASE("pictures of the network's size are taken as they are, or prepared like all others") {
  const Model model = network(small, DType::int8);  // timm: the middle of 71 × 71
  const Image image = noise(64, 64);
  Preprocessor preprocessor(model.info().preprocess, 3);
  const ImageView prepared = preprocessor.run(image).value();
  REQUIRE(std::memcmp(prepared.data, image.row(0), image.size_bytes()) != 0);
  const auto as_it_is = logits(model, {image.view()}, {}), as_python = logits(model, {prepared}, {});
  CHECK(same(logits(model, {image.view()}, {.always_preprocess = true}), as_python));
  CHECK(!same(as_it_is, as_python));
  const auto refused = model.session({.any_size = true, .always_preprocess = true});
  REQUIRE(!refused);
  CHECK(refused.error().message ==
        "SessionOptions::always_preprocess: found true beside any_size, which takes pictures as they are, expected one "
        "of the two");
}
