#include "quant/checkpoint/verify_json.h"

#include <nlohmann/json.hpp>
#include <string>

#include "quant/engines/serving.h"

namespace rotor {

nlohmann::json verify_to_json(const VerifyReport& report) {
  nlohmann::json problems = nlohmann::json::array();
  for (const VerifyProblem& problem : report.problems) {
    problems.push_back(
        {{"tensor", problem.tensor}, {"what", problem.what}, {"remedy", problem.remedy}});
  }
  nlohmann::json modules = nlohmann::json::object();
  for (const auto& [name, module] : report.modules) {
    modules[name] = {{"digest", module.digest},
                     {"shape", {module.rows, module.cols}},
                     {"rotation", module.rotation}};
  }
  nlohmann::json out = {{"ok", report.ok()},
                        {"quantized", report.quantized},
                        {"problems", std::move(problems)},
                        {"modules", std::move(modules)},
                        {"tensors", report.tensors}};
  if (report.quantized) {
    out["layout"] = to_string(report.layout);
    out["serving_modes"] = serving_lines(report.served);
    out["format"] = to_string(report.scheme.format);
    out["activations"] = to_string(report.activations);
  }
  return out;
}

}  // namespace rotor
