#include "quant/engines/serve_target.h"

#include <array>
#include <charconv>

namespace rotor {
namespace {

constexpr int kMostGpus = 1024;

struct Name {
  std::string_view text;
  std::string_view title;
};
// In the order of the enums.
constexpr std::array<Name, 4> kEngineNames = {{{"vllm", "vLLM"},
                                               {"sglang", "SGLang"},
                                               {"tensorrt-llm", "TensorRT-LLM"},
                                               {"transformers", "transformers"}}};
constexpr std::array<Name, 3> kGpuNames = {
    {{"ampere", "Ampere"}, {"hopper", "Hopper"}, {"blackwell", "Blackwell"}}};

Status bad_target(std::string_view text, const std::string& what) {
  return invalid_argument("target '" + std::string(text) + "': " + what +
                          "; it is ENGINE[,tp=N][,gpu=ampere|hopper|blackwell], with ENGINE one of "
                          "vllm, sglang, tensorrt-llm, transformers")
      .with_reason("BAD_TARGET")
      .with_detail("target", std::string(text));
}

template <size_t N>
std::optional<int> find(const std::array<Name, N>& names, std::string_view text) {
  for (size_t i = 0; i < N; ++i) {
    if (names[i].text == text) {
      return static_cast<int>(i);
    }
  }
  return {};
}

Status set_key(std::string_view text, std::string_view key, std::string_view value,
               ServeTarget* target) {
  if (key == "tp") {
    int parts = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parts);
    if (error != std::errc() || end != value.data() + value.size() || parts < 1 ||
        parts > kMostGpus) {
      return bad_target(text, "tp is a number of GPUs from 1 to " + std::to_string(kMostGpus));
    }
    target->tensor_parallel = parts;
    return {};
  }
  if (key == "gpu") {
    const std::optional<int> gpu = find(kGpuNames, value);
    if (!gpu) {
      return bad_target(text, "no GPU '" + std::string(value) + "' is known");
    }
    target->gpu = static_cast<Gpu>(*gpu);
    return {};
  }
  return bad_target(text, "no key '" + std::string(key) + "' is known");
}

}  // namespace

Result<ServeTarget> parse_serve_target(std::string_view text) {
  ServeTarget target;
  std::string seen;
  std::string_view rest = text;
  for (bool first = true; first || !rest.empty(); first = false) {
    const size_t comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (comma != std::string_view::npos && rest.empty()) {
      return bad_target(text, "it ends with a comma");
    }
    if (first) {
      const std::optional<int> engine = find(kEngineNames, part);
      if (!engine) {
        return bad_target(text, "no engine '" + std::string(part) + "' is known");
      }
      target.engine = static_cast<Engine>(*engine);
      continue;
    }
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string mark = "," + std::string(key) + ",";
    if (seen.find(mark) != std::string::npos) {
      return bad_target(text, std::string(key) + " is given twice");
    }
    seen += mark;
    ROTOR_RETURN_IF_ERROR(set_key(
        text, key, equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1),
        &target));
  }
  return target;
}

std::string to_string(const ServeTarget& target) {
  std::string text(to_string(target.engine));
  if (target.tensor_parallel != 1) {
    text += ",tp=" + std::to_string(target.tensor_parallel);
  }
  if (target.gpu) {
    text += ",gpu=" + std::string(to_string(*target.gpu));
  }
  return text;
}

std::string_view to_string(Engine value) {
  return kEngineNames[static_cast<size_t>(value)].text;
}
std::string_view to_string(Gpu value) {
  return kGpuNames[static_cast<size_t>(value)].text;
}
std::string_view title(Engine value) {
  return kEngineNames[static_cast<size_t>(value)].title;
}
std::string_view title(Gpu value) {
  return kGpuNames[static_cast<size_t>(value)].title;
}

}  // namespace rotor
