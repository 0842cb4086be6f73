#include "quant/engines/serve_target.h"

#include "tests/support/status_matchers.h"

namespace rotor {
namespace {

TEST(ServeTarget, ReadsWhatItWrites) {
  for (const char* text :
       {"vllm", "sglang,tp=2", "tensorrt-llm,gpu=blackwell", "transformers,tp=4,gpu=ampere"}) {
    const Result<ServeTarget> target = parse_serve_target(text);
    ASSERT_OK(target);
    EXPECT_EQ(to_string(*target), text);
  }
  EXPECT_EQ(*parse_serve_target("vllm,gpu=hopper,tp=1"),
            (ServeTarget{Engine::kVllm, 1, Gpu::kHopper}));
}

TEST(ServeTarget, RefusesWhatIsNoneByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no engine ''"},
      {"vLLM", "no engine 'vLLM'"},
      {"vllm,tp=0", "from 1 to 1024"},
      {"vllm,tp=1025", "from 1 to 1024"},
      {"vllm,tp=2x", "tp is a number"},
      {"vllm,tp", "tp is a number"},
      {"vllm,gpu=h100", "no GPU 'h100'"},
      {"vllm,dp=2", "no key 'dp'"},
      {"vllm,tp=2,tp=2", "tp is given twice"},
      {"vllm,", "ends with a comma"},
  };
  for (const auto& [text, words] : cases) {
    EXPECT_FAILS(parse_serve_target(text), Code::kInvalidArgument, "BAD_TARGET", words);
  }
}

}  // namespace
}  // namespace rotor
