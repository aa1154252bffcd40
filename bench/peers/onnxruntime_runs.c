// Runs an ONNX model of a ViT a number of times on one thread: onnxruntime_runs MODEL RUNS. For counting the
// instructions of ONNX Runtime's ARM library under emulation (insn_per_mac.sh).
#include <math.h>
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>

static const OrtApi* api;

static void check(OrtStatus* status) {
  if (!status) return;
  fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 3) return fprintf(stderr, "onnxruntime_runs MODEL RUNS\n"), 2;
  api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!api) return fprintf(stderr, "the library is older than the header\n"), 1;
  OrtEnv* env;
  OrtSessionOptions* options;
  OrtSession* session;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "count", &env));
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->SetInterOpNumThreads(options, 1));
  check(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
  check(api->CreateSession(env, argv[1], options, &session));

  static float pixels[3 * 224 * 224];
  for (int i = 0; i < 3 * 224 * 224; ++i) pixels[i] = sinf((float)i);
  const int64_t dims[] = {1, 3, 224, 224};
  OrtMemoryInfo* memory;
  OrtValue* input;
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  check(api->CreateTensorWithDataAsOrtValue(memory, pixels, sizeof pixels, dims, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                            &input));
  const char *in = "pixel_values", *out = "logits";
  for (int i = 0; i < atoi(argv[2]); ++i) {
    OrtValue* output = NULL;
    check(api->Run(session, NULL, &in, (const OrtValue* const*)&input, 1, &out, 1, &output));
    api->ReleaseValue(output);
  }
  return 0;
}
