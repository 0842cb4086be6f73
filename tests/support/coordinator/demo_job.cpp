#include "tests/support/coordinator/demo_job.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

namespace rotor::testing {

DemoJob::DemoJob() {
  namespace fs = std::filesystem;
  const fs::path source = ROTOR_SOURCE_DIR;
  for (const char* directory : {"models", "data", "outputs", "state"}) {
    fs::create_directory(root_ / directory);
  }
  fs::copy(source / "demo/model", model(), fs::copy_options::recursive);
  fs::copy_file(source / "demo/text/demo-generated.json", text());
}

coordinator::CoordinatorOptions DemoJob::options() const {
  coordinator::CoordinatorOptions options;
  options.state_dir = state();
  options.listen = "127.0.0.1:0";
  options.model_root = root_ / "models";
  options.data_roots = {root_ / "data"};
  options.output_root = root_ / "outputs";
  const Result<coordinator::CoordinatorOptions> checked =
      coordinator::check_options(std::move(options));
  EXPECT_TRUE(checked.ok()) << checked.status().to_string();
  return *checked;
}

v1::JobSpec DemoJob::spec(const std::string& output) const {
  v1::JobSpec spec;
  spec.set_model("demo");
  spec.set_output(output);
  spec.mutable_calibration()->add_files("text.json");
  spec.mutable_calibration()->set_sequences(4);
  spec.mutable_calibration()->set_seq_len(64);
  spec.set_format(v1::FORMAT_MXFP4);
  spec.set_method(v1::METHOD_RTN);
  return spec;
}

v1::SubmitJobRequest DemoJob::request(const std::string& id, const std::string& output) const {
  v1::SubmitJobRequest request;
  request.set_request_id(id);
  *request.mutable_spec() = spec(output);
  return request;
}

std::set<std::string> submit_at_once(int threads, const std::function<Result<v1::Job>()>& submit) {
  std::mutex mutex;
  std::set<std::string> names;
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      const Result<v1::Job> job = submit();
      const std::lock_guard lock(mutex);
      EXPECT_TRUE(job.ok()) << job.status().to_string();
      names.insert(job.ok() ? job->name() : "");
    });
  }
  for (std::thread& thread : running) {
    thread.join();
  }
  return names;
}

}  // namespace rotor::testing
