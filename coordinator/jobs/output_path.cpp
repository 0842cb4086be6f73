#include "coordinator/jobs/output_path.h"

#include <unistd.h>

#include <string_view>

#include "proto/pause_reasons.h"
#include "quant/io/rooted.h"

namespace rotor::coordinator {
namespace {

constexpr std::string_view kPartialSuffix = ".rotor-partial";

Status refuse(Status status, const std::string& reason, const std::string& path) {
  return std::move(status).with_reason(reason).with_detail("output", path);
}

/// Names that checkpoints under way and the states of `rotor quantize` have.
bool is_temporary_name(std::string_view name) {
  return name.ends_with(kPartialSuffix) || (name.starts_with('.') && name.ends_with(".rotor"));
}

bool has_temporary_name(std::string_view path) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    if (is_temporary_name(path.substr(0, slash))) {
      return true;
    }
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return false;
}

/// As resolve_new_beneath, but directories above may be missing, too.
Result<std::string> resolve_with_parents(const std::string& root, std::string output) {
  Result<std::string> resolved = resolve_new_beneath(root, output);
  while (output.size() > 1 && output.ends_with('/')) {
    output.pop_back();
  }
  const std::string parent = parent_directory(output);
  if (resolved.status().code() != Code::kNotFound || parent == output || parent == root) {
    return resolved;
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string above, resolve_with_parents(root, parent));
  return join_path(above, output.substr(output.rfind('/') + 1));
}

}  // namespace

bool is_within(const std::string& path, const std::string& directory) {
  return path == directory || path.rfind(directory + "/", 0) == 0;
}

Result<std::string> check_output(FileSystem& fs, const std::string& root, const std::string& output,
                                 const std::string& model_path) {
  Result<std::string> resolved = resolve_with_parents(root, output);
  if (!resolved.ok()) {
    return std::move(resolved).status().with_context("output");
  }
  const std::string& path = *resolved;
  const std::string below =
      path.size() > root.size() && is_within(path, root) ? path.substr(root.size() + 1) : path;
  if (has_temporary_name(below)) {
    return refuse(invalid_argument("output " + path +
                                   ": names that end in .rotor-partial, or begin with a dot and "
                                   "end in .rotor, are for work under way; choose another one"),
                  "OUTPUT_NAME_RESERVED", path);
  }
  if (!model_path.empty() && is_within(path, model_path)) {
    return refuse(invalid_argument("output " + path + " is the model or lies within it (" +
                                   model_path + "); choose a directory beside it"),
                  "OUTPUT_IN_MODEL", path);
  }
  ROTOR_ASSIGN_OR_RETURN(const bool exists, path_exists(fs, path));
  if (exists) {
    return refuse(already_exists("output " + path +
                                 " exists already and nothing is overwritten; "
                                 "choose another directory, or remove it"),
                  kOutputExists, path);
  }
  ROTOR_ASSIGN_OR_RETURN(const bool partial, path_exists(fs, partial_output(path)));
  if (partial) {
    return refuse(already_exists(partial_output(path) +
                                 " exists: another job is being put "
                                 "together there, or was left behind; wait, or remove it"),
                  "OUTPUT_PARTIAL_EXISTS", path);
  }
  const std::string parent = existing_above(fs, path);
  if (::access(parent.c_str(), W_OK | X_OK) != 0) {
    return refuse(Status(Code::kPermissionDenied, "output " + path + ": " + parent +
                                                      " is not writable by the coordinator; "
                                                      "change its mode or choose another one"),
                  "OUTPUT_NOT_WRITABLE", path);
  }
  return resolved;
}

std::string partial_output(const std::string& output_path) {
  return output_path + std::string(kPartialSuffix);
}

}  // namespace rotor::coordinator
