#include "tests/support/coordinator/rtn_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "quant/base/sha256.h"
#include "quant/format/bf16.h"
#include "quant/gptq/solve.h"
#include "quant/scales/scale_search.h"

namespace rotor::testing {
namespace {

std::vector<float> read_weight(const ModelFiles& model, const Linear& linear) {
  const std::string name = linear.name + ".weight";
  const Result<std::vector<uint8_t>> bytes = read_tensor(*model.weights, name);
  EXPECT_TRUE(bytes.ok()) << bytes.status().to_string();
  std::vector<float> weight(static_cast<size_t>(linear.out_features * linear.in_features));
  const Status widened = widen_to_f32(bytes->data(), model.weights->find(name)->dtype,
                                      static_cast<int64_t>(weight.size()), weight.data());
  EXPECT_TRUE(widened.ok()) << widened.to_string();
  return weight;
}

float largest(const std::vector<float>& values) {
  float most = 0.0F;
  for (const float value : values) {
    most = std::max(most, std::fabs(value));
  }
  return most;
}

QuantizedMatrix quantize(const Linear& linear, const std::vector<float>& weight,
                         const QuantScheme& scheme, float global_scale) {
  SerialParallel serial;
  QuantizedMatrix matrix;
  matrix.scheme = scheme;
  matrix.rows = linear.out_features;
  matrix.cols = linear.in_features;
  matrix.global_scale = global_scale;
  const auto groups = static_cast<size_t>(matrix.rows * matrix.groups());
  matrix.codes.resize(weight.size() / 2);
  matrix.scales.resize(groups * static_cast<size_t>(dtype_size(scheme.scale_dtype)));
  std::vector<float> effective(groups);
  Status status = search_scales(weight.data(), matrix.rows, matrix.cols, scheme, global_scale, {},
                                matrix.scales.data(), effective.data(), serial);
  EXPECT_TRUE(status.ok()) << status.to_string();
  status = round_rows(weight.data(), matrix.rows, matrix.cols, scheme, effective.data(),
                      matrix.codes.data(), serial);
  EXPECT_TRUE(status.ok()) << status.to_string();
  return matrix;
}

}  // namespace

RtnQuantizer::RtnQuantizer(const v1::Lease& lease) {
  Result<ModelFiles> model = open_model(posix_file_system(), lease.model_path());
  EXPECT_TRUE(model.ok()) << model.status().to_string();
  model_ = std::move(model).value();
  auto job = coordinator::prepare_job(lease.spec(), model_);
  EXPECT_TRUE(job.ok()) << job.status().to_string();
  job_ = std::move(job).value();
}

RtnLayer RtnQuantizer::layer(int32_t index) {
  RtnLayer layer;
  layer.commit.set_layer(index);
  layer.commit.mutable_report()->set_layer(index);
  layer.commit.mutable_report()->set_seconds(0.5);
  for (const StagePlan& stage : job_->plan.layers[static_cast<size_t>(index)].stages) {
    std::map<int, float> amax;  // engines keep one global scale for the linears that they fuse
    for (const ModulePlan& module : stage.modules) {
      float& most = amax[module.linear.fuse_group];
      most = std::max(most, largest(read_weight(model_, module.linear)));
    }
    for (const ModulePlan& module : stage.modules) {
      if (!module.quantized) {
        continue;
      }
      const QuantScheme& scheme = job_->info.scheme;
      QuantizedMatrix matrix = quantize(module.linear, read_weight(model_, module.linear), scheme,
                                        global_scale_for(scheme, amax[module.linear.fuse_group]));
      matrix.input_global_scale = global_scale_for(scheme, 1.0F);
      auto tensors =
          job_->layout->encode(module.linear.name, job_->info.activations, std::move(matrix));
      EXPECT_TRUE(tensors.ok()) << tensors.status().to_string();
      for (StoredTensor& tensor : *tensors) {
        v1::TensorInfo* info = layer.commit.add_tensors();
        info->set_name(tensor.spec.name);
        info->set_dtype(std::string(dtype_name(tensor.spec.dtype)));
        info->mutable_shape()->Assign(tensor.spec.shape.begin(), tensor.spec.shape.end());
        info->set_sha256(
            sha256_hex({reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()}));
        layer.tensors.push_back(std::move(tensor));
      }
      v1::ModuleReport* report = layer.commit.mutable_report()->add_modules();
      report->set_name(module.linear.name);
      report->set_method("rtn");
      report->set_rotation(module.rotation);
      report->set_relative_error(0.01);
    }
  }
  return layer;
}

std::vector<v1::PutTensorsRequest> put_messages(const v1::Lease& lease, int32_t layer,
                                                const std::vector<StoredTensor>& tensors,
                                                size_t chunk) {
  std::vector<v1::PutTensorsRequest> messages;
  v1::PutHeader* header = messages.emplace_back().mutable_header();
  header->set_job(lease.job());
  header->set_fence(lease.fence());
  header->set_session(lease.session());
  header->set_layer(layer);
  for (const StoredTensor& tensor : tensors) {
    v1::TensorStart* start = messages.emplace_back().mutable_tensor();
    start->set_name(tensor.spec.name);
    start->set_dtype(std::string(dtype_name(tensor.spec.dtype)));
    start->mutable_shape()->Assign(tensor.spec.shape.begin(), tensor.spec.shape.end());
    const std::string bytes(tensor.bytes.begin(), tensor.bytes.end());
    for (size_t offset = 0; offset < bytes.size(); offset += chunk) {
      messages.emplace_back().set_chunk(bytes.substr(offset, chunk));
    }
    messages.emplace_back().mutable_end()->set_sha256(sha256_hex(bytes));
  }
  return messages;
}

}  // namespace rotor::testing
