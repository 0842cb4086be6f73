#include "coordinator/assemble/assembler.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "coordinator/assemble/model_card.h"
#include "coordinator/assemble/report_file.h"
#include "coordinator/assemble/tensor_copier.h"
#include "coordinator/jobs/output_path.h"
#include "coordinator/staging/owned_directory.h"
#include "model/model_files.h"
#include "proto/pages/report_page.h"
#include "proto/pause_reasons.h"
#include "quant/base/parallel.h"
#include "quant/checkpoint/inspect.h"
#include "quant/checkpoint/sharding.h"
#include "quant/checkpoint/verify.h"

namespace rotor::coordinator {
namespace {

constexpr char kCardName[] = "README.md";
constexpr char kPageName[] = "rotor_report.html";
constexpr char kSourceCardName[] = "README-source.md";  // the source's card

Status write_synced(FileSystem& fs, const std::string& path, const std::string& bytes) {
  ROTOR_ASSIGN_OR_RETURN(const auto file, fs.open_for_writing(path, OpenMode::kCreateNew));
  ROTOR_RETURN_IF_ERROR(file->append(bytes));
  ROTOR_RETURN_IF_ERROR(file->sync());
  return file->close();
}

class Assembly {
 public:
  Assembly(FileSystem& fs, const AssemblyInput& input, const AssemblyHooks& hooks)
      : fs_(fs),
        input_(input),
        hooks_(hooks),
        output_(input.job.output_path),
        partial_(partial_output(output_)),
        owner_{input.job.id, input.job.published} {}

  Result<AssemblyResult> run() {
    ROTOR_ASSIGN_OR_RETURN(const bool done, already_published(fs_, input_.job));
    if (!done) {
      ROTOR_RETURN_IF_ERROR(remove_owned_directory(fs_, partial_, owner_));
      const Status built = build_and_publish();
      if (!built.ok()) {
        // Best effort: the next try begins by removing it, too.
        (void)remove_owned_directory(fs_, partial_, owner_);
        return built;
      }
    }
    return measure();
  }

 private:
  Status build_and_publish() {
    ROTOR_ASSIGN_OR_RETURN(const ModelFiles model, open_model(fs_, input_.job.model_path));
    ROTOR_RETURN_IF_ERROR(make_owned_directory(fs_, partial_, owner_));
    ROTOR_RETURN_IF_ERROR(write_tensors(model));
    ROTOR_RETURN_IF_ERROR(write_other_files(model));
    ROTOR_RETURN_IF_ERROR(model.checkpoint->check_unchanged());
    ROTOR_RETURN_IF_ERROR(fs_.sync_dir(partial_));
    ROTOR_RETURN_IF_ERROR(verify());
    return publish();
  }

  Status write_tensors(const ModelFiles& model) {
    ROTOR_ASSIGN_OR_RETURN(
        const std::vector<Shard> shards,
        cut_into_shards(input_.prepared->checkpoint_tensors, input_.job.spec.max_shard_size()));
    TensorCopier copier(fs_, input_, *model.weights, hooks_.stopped);
    for (const Shard& shard : shards) {
      ROTOR_ASSIGN_OR_RETURN(
          const auto writer,
          SafetensorsWriter::create(fs_, join_path(partial_, shard.file_name), shard.tensors));
      for (const TensorSpec& spec : shard.tensors) {
        ROTOR_RETURN_IF_ERROR(copier.copy(spec, writer.get()));
      }
      ROTOR_RETURN_IF_ERROR(writer->finish());
    }
    return shards.size() > 1
               ? write_synced(fs_, join_path(partial_, kIndexName), index_json(shards))
               : Status();
  }

  Status write_other_files(const ModelFiles& model) {
    const PreparedJob& prepared = *input_.prepared;
    const std::vector<std::string>& copied = model.other_files.copied;
    const bool has_card = std::find(copied.begin(), copied.end(), kCardName) != copied.end();
    std::set<std::string> written = {kReportName, kPageName, kCardName};
    if (has_card) {
      written.insert(kSourceCardName);
      ROTOR_RETURN_IF_ERROR(copy_file(fs_, join_path(model.directory, kCardName),
                                      join_path(partial_, kSourceCardName)));
    }
    for (const TextFile& file : prepared.text_files) {
      ROTOR_RETURN_IF_ERROR(write_synced(fs_, join_path(partial_, file.name), file.text));
      written.insert(file.name);
    }
    for (const std::string& name : copied) {
      // What describes another quantization, or is the report of one, gives way to this job's.
      if (!written.contains(name)) {
        ROTOR_RETURN_IF_ERROR(make_folders_of(name));
        ROTOR_RETURN_IF_ERROR(
            copy_file(fs_, join_path(model.directory, name), join_path(partial_, name)));
      }
    }
    const ReportFacts facts = checkpoint_facts(input_.job, prepared, input_.layers);
    ROTOR_RETURN_IF_ERROR(
        write_synced(fs_, join_path(partial_, kCardName),
                     model_card(input_.job, prepared, facts, has_card ? kSourceCardName : "")));
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
      ROTOR_RETURN_IF_ERROR(fs_.sync_dir(join_path(partial_, *folder)));
    }
    ROTOR_RETURN_IF_ERROR(write_synced(
        fs_, join_path(partial_, kReportName),
        report_file(input_.job, facts, {model.extra_tensors, model.other_files.left_behind})));
    return write_synced(fs_, join_path(partial_, kPageName), report_page(facts));
  }

  /// The folders that a copied file lies in, outermost first.
  Status make_folders_of(const std::string& file) {
    for (size_t slash = file.find('/'); slash != std::string::npos;
         slash = file.find('/', slash + 1)) {
      const std::string folder = file.substr(0, slash);
      if (folders_.insert(folder).second) {
        ROTOR_RETURN_IF_ERROR(fs_.create_directory(join_path(partial_, folder)));
      }
    }
    return {};
  }

  Status verify() {
    // Everything is read back and decoded: with one thread that takes longer than writing it did.
    const auto threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    const std::unique_ptr<Parallel> parallel = make_thread_pool(threads);
    ROTOR_ASSIGN_OR_RETURN(const VerifyReport report, verify_checkpoint(fs_, partial_, *parallel));
    if (report.ok()) {
      return {};
    }
    const VerifyProblem& problem = report.problems.front();
    return internal_error("the checkpoint does not pass its verification: " + problem.tensor +
                          ": " + problem.what + " (" + std::to_string(report.problems.size()) +
                          " problems)")
        .with_reason("CHECKPOINT_INVALID")
        .with_detail("tensor", problem.tensor);
  }

  Status publish() {
    ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(partial_));
    // On record first: from here on the identity shows whose directory it is, not the file in it.
    ROTOR_RETURN_IF_ERROR(hooks_.before_publish(identity_of(stat)));
    owner_.identity = identity_of(stat);
    ROTOR_RETURN_IF_ERROR(disown_directory(fs_, partial_));
    ROTOR_RETURN_IF_ERROR(fs_.sync_dir(partial_));
    ROTOR_RETURN_IF_ERROR(fs_.rename(partial_, output_));
    return fs_.sync_dir(parent_directory(output_));
  }

  Result<AssemblyResult> measure() {
    AssemblyResult result;
    ROTOR_RETURN_IF_ERROR(measure_folder(output_, result));
    return result;
  }

  Status measure_folder(const std::string& folder, AssemblyResult& result) {
    ROTOR_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs_.list(folder));
    for (const std::string& name : names) {
      ROTOR_ASSIGN_OR_RETURN(const FileStat stat, fs_.stat(join_path(folder, name)));
      if (stat.is_directory()) {
        ROTOR_RETURN_IF_ERROR(measure_folder(join_path(folder, name), result));
        continue;
      }
      result.bytes += stat.size;
      ++result.files;
    }
    return {};
  }

  FileSystem& fs_;
  const AssemblyInput& input_;
  const AssemblyHooks& hooks_;
  const std::string output_;
  const std::string partial_;
  Owner owner_;
  std::set<std::string> folders_;  // below partial_
};

}  // namespace

Result<bool> already_published(FileSystem& fs, const JobRecord& job) {
  const Result<FileStat> stat = fs.stat_link(job.output_path);
  if (!stat.ok()) {
    return stat.status().code() == Code::kNotFound ? Result<bool>(false) : stat.status();
  }
  if (job.published == identity_of(*stat)) {
    return true;
  }
  return already_exists("output " + job.output_path +
                        " was made by another job or program meanwhile; move it away, then "
                        "resume the job")
      .with_reason(kOutputExists)
      .with_detail("output", job.output_path);
}

Result<AssemblyResult> assemble_checkpoint(FileSystem& fs, const AssemblyInput& input,
                                           const AssemblyHooks& hooks) {
  return Assembly(fs, input, hooks).run();
}

}  // namespace rotor::coordinator
