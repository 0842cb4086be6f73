// rotor-bench: what a layer of a known model or a kernel costs on this machine, without a service;
// and models of random weights to time whole jobs on.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "model/settings.h"
#include "quant/base/exit_codes.h"
#include "worker/bench/kernel_commands.h"
#include "worker/bench/layer_bench.h"
#include "worker/bench/make_checkpoint.h"
#include "worker/comm/mpi_environment.h"
#include "worker/program/device.h"

namespace rotor::worker::bench {
namespace {

struct LayerCommand {
  LayerBenchOptions bench;
  std::string shape;
  DeviceOptions device;
  Format format = Format::kNvfp4;
  int64_t group_size = 0;
  int micro_batch = 0;  // a job's default
};

struct CheckpointCommand {
  CheckpointOptions checkpoint;
  std::string shape;
};

int fail(const Status& status) {
  spdlog::error("{}", status.to_string());
  return exit_code_of(status.code());
}

const std::map<std::string, Format>& formats() {
  static const std::map<std::string, Format> formats = {
      {"nvfp4", Format::kNvfp4}, {"mxfp4", Format::kMxfp4}, {"int4", Format::kInt4}};
  return formats;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : "|") + name;
  }
  return text;
}

/// The settings of a job that one layer has by itself; the others have options of their own below.
bool is_of_a_layer(const Setting& setting) {
  return setting.has_member() && !setting.flag.empty() && setting.form == SettingForm::kValue &&
         setting.path != "propagate" && setting.path != "layout" &&
         setting.path != "plan.micro_batch_sequences";
}

void add_setting(CLI::App* app, const Setting& setting, QuantOptions& quant) {
  const std::string flag(setting.flag);
  const auto set = [&setting, &quant, flag](const std::string& text) {
    if (const Status status = set_member(&quant, setting, text); !status.ok()) {
      throw CLI::ValidationError(flag, status.message());
    }
  };
  const std::string help =
      std::string(setting.help) + " (default: " + member_text(quant, setting) + ")";
  if (std::holds_alternative<bool QuantOptions::*>(setting.member)) {
    app->add_flag_function(
        flag + ",!--no-" + flag.substr(2), [set](int64_t given) { set(given > 0 ? "on" : "off"); },
        help);
    return;
  }
  const std::string choices = joined(member_choices(setting));
  app->add_option_function<std::string>(flag, set, help)
      ->type_name(choices.empty() ? "N" : choices);
}

Status complete(LayerCommand* command) {
  ROTOR_ASSIGN_OR_RETURN(command->bench.shape, find_shape(command->shape));
  QuantOptions& quant = command->bench.quant;
  ROTOR_ASSIGN_OR_RETURN(quant.scheme,
                         make_scheme(command->format, command->group_size, DType::kBf16));
  const LayerBenchOptions& bench = command->bench;
  ROTOR_ASSIGN_OR_RETURN(const ModelConfig config, model_config(bench.shape, 1));
  quant.micro_batch_sequences =
      command->micro_batch > 0
          ? command->micro_batch
          : default_micro_batch_sequences(config, bench.sequences, bench.seq_len, quant.lanes);
  return {};
}

int run_layer(LayerCommand& command) {
  const MpiEnvironment mpi;
  if (const Status status = complete(&command); !status.ok()) {
    return fail(status);
  }
  Result<RankSetup> rank = set_up_rank(mpi, command.device, 0);
  if (!rank.ok()) {
    fail(rank.status());
    return kExitConfiguration;
  }
  const Result<LayerBenchResult> result =
      run_layer_bench(*rank->backend, *rank->group, command.bench);
  if (!result.ok()) {
    return fail(result.status());
  }
  if (mpi.world_rank() == 0) {
    const std::string json =
        layer_bench_json(command.bench, *result, rank->backend->info(), rank->group->size());
    std::printf("%s\n", json.c_str());
  }
  return kExitDone;
}

int run_make_checkpoint(CheckpointCommand& command) {
  Result<ModelShape> shape = find_shape(command.shape);
  if (!shape.ok()) {
    return fail(shape.status());
  }
  command.checkpoint.shape = *shape;
  const Result<int64_t> bytes = make_checkpoint(command.checkpoint);
  if (!bytes.ok()) {
    return fail(bytes.status());
  }
  spdlog::info("{}: {} bytes of tensors", command.checkpoint.directory, *bytes);
  return kExitDone;
}

CLI::App* add_layer(CLI::App& app, LayerCommand& command) {
  CLI::App* layer = app.add_subcommand(
      "layer", "Quantize one random decoder layer and print times as JSON; works under mpirun");
  QuantOptions& quant = command.bench.quant;
  layer->add_option("--shape", command.shape, "tiny, llama-8b, llama-70b, ...")->required();
  layer->add_option("--sequences", command.bench.sequences, "Calibration sequences")
      ->check(CLI::PositiveNumber);
  layer->add_option("--seq-len", command.bench.seq_len, "Tokens a sequence")
      ->check(CLI::PositiveNumber);
  layer
      ->add_option_function<std::string>(
          "--format", [&command](const std::string& text) { command.format = formats().at(text); },
          std::string(setting("format").help))
      ->check(CLI::IsMember(formats()));
  layer->add_option("--group-size", command.group_size,
                    std::string(setting("group_size").help) + "; 0: 128");
  layer->add_option("--rotation", quant.rotation, "Hadamard block of online rotations; 0: none");
  for (const Setting& setting : settings()) {
    if (is_of_a_layer(setting)) {
      add_setting(layer, setting, quant);
    }
  }
  layer->add_flag_callback(
      "--block", [&quant] { quant.sequential = Sequential::kBlock; },
      "The same as --sequential block");
  layer->add_option("--micro-batch", command.micro_batch, "Sequences a micro-batch; 0: a job's")
      ->check(CLI::NonNegativeNumber);
  layer->add_option("--repeat", command.bench.repeat, "Timed runs; the best one counts")
      ->check(CLI::PositiveNumber);
  layer->add_option("--seed", command.bench.seed, "Of weights and activations");
  layer->add_option("--device", command.device.device, "auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  layer
      ->add_option("--threads", command.device.threads,
                   "CPU threads a rank; 0: its share of the cores")
      ->check(CLI::NonNegativeNumber);
  layer
      ->add_option("--device-memory", command.device.memory_limit,
                   "Memory of its device that a rank may take, as 20GB; 0: all")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  return layer;
}

CLI::App* add_make_checkpoint(CLI::App& app, CheckpointCommand& command) {
  CLI::App* make = app.add_subcommand("make-checkpoint", "Write a model of random weights");
  make->add_option("--shape", command.shape, "tiny, llama-8b, llama-70b, ...")->required();
  make->add_option("--layers", command.checkpoint.layers,
                   "Decoder layers; 0: as many as the shape has")
      ->check(CLI::NonNegativeNumber);
  make->add_option("--output", command.checkpoint.directory, "A new directory")->required();
  make->add_option("--max-shard-size", command.checkpoint.max_shard_bytes, "Bytes a shard")
      ->check(CLI::PositiveNumber);
  make->add_option("--seed", command.checkpoint.seed, "Of the weights");
  return make;
}

int main(int argc, char** argv) {
  LayerCommand layer;
  CheckpointCommand checkpoint;
  CLI::App app("Benchmarks of Rotor that need no service");
  app.require_subcommand(1);
  const CLI::App* layer_app = add_layer(app, layer);
  const CLI::App* make_app = add_make_checkpoint(app, checkpoint);
  KernelCommands kernel_commands(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("rotor-bench"));
  if (layer_app->parsed()) {
    return run_layer(layer);
  }
  if (make_app->parsed()) {
    return run_make_checkpoint(checkpoint);
  }
  const Result<std::string> json = kernel_commands.run();
  if (!json.ok()) {
    return fail(json.status());
  }
  std::printf("%s\n", json->c_str());
  return kExitDone;
}

}  // namespace
}  // namespace rotor::worker::bench

int main(int argc, char** argv) {
  return rotor::worker::bench::main(argc, argv);
}
