#include "quant/io/rooted.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>

#include "quant/base/text.h"
#include "quant/io/file.h"

namespace rotor {
namespace {

class PathHandle {
 public:
  explicit PathHandle(int fd) : fd_(fd) {}
  ~PathHandle() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  PathHandle(const PathHandle&) = delete;
  PathHandle& operator=(const PathHandle&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Status refused(const std::string& path, const std::string& root, const std::string& why) {
  return invalid_argument(printable(path) + ": " + why + "; name a path below " + root)
      .with_reason("PATH_REFUSED")
      .with_detail("path", printable(path))
      .with_detail("root", root)
      .with_detail("why", why);
}

Result<std::string> real_path(int fd, const std::string& path) {
  std::array<char, PATH_MAX> buffer{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t n = ::readlink(link.c_str(), buffer.data(), buffer.size());
  if (n < 0) {
    return errno_error(errno, "readlink", path);
  }
  return std::string(buffer.data(), static_cast<size_t>(n));
}

bool below(const std::string& path, const std::string& root) {
  return path == root || root == "/" || path.starts_with(root + "/");
}

// `path`, which lies below `root`, as openat2 takes it.
std::string without_root(const std::string& path, const std::string& root) {
  return path == root ? "." : join_path(".", path.substr(root == "/" ? 1 : root.size() + 1));
}

// `path` without the root in front, where it is absolute. A path may be spelt through symlinks that
// lead to the root or into it (/scratch for /mnt/fs1/scratch): where what it names lies below the
// root, so does the path. That only chooses what is opened beneath the root afterwards.
Result<std::string> relative_to(const std::string& root, const std::string& real_root,
                                const std::string& path) {
  if (!path.starts_with('/')) {
    return path;
  }
  for (std::string prefix : {root, real_root}) {
    while (prefix.size() > 1 && prefix.ends_with('/')) {
      prefix.pop_back();
    }
    if (below(path, prefix)) {
      return without_root(path, prefix);
    }
  }
  std::error_code error;
  const std::string real = std::filesystem::weakly_canonical(path, error).string();
  if (!error && below(real, real_root)) {
    return without_root(real, real_root);
  }
  return refused(path, root, kOutsideRoot);
}

// A symlink below the root may name its target absolutely, or go out and come back in; a client
// that says '..' itself may not.
std::string by_real_path(const std::string& real_root, const std::string& relative) {
  for (const std::filesystem::path& part : std::filesystem::path(relative)) {
    if (part == "..") {
      return "";
    }
  }
  std::error_code error;
  const std::string real =
      std::filesystem::canonical(join_path(real_root, relative), error).string();
  return !error && below(real, real_root) ? without_root(real, real_root) : "";
}

int open_beneath(int root, const std::string& relative) {
  // O_PATH: a FIFO or a device is looked at without being opened.
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof(how)));
}

Status open_error(int error, const std::string& root, const std::string& path) {
  switch (error) {
    case EXDEV:
      return refused(path, root, "leaves the root by '..' or a symlink");
    case ELOOP:
      return refused(path, root, "a loop of symlinks");
    case ENAMETOOLONG:
      return refused(path, root, "too long");
    case ENOSYS:
      return unimplemented(root +
                           ": this kernel or container has no openat2, which keeps clients "
                           "inside the root: use Linux 5.6 or newer")
          .with_reason("NO_OPENAT2");
    default:
      return errno_error(error, "open below " + root, path);
  }
}

Status check_kind(int fd, const std::string& path, PathKind kind) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) {
    return errno_error(errno, "fstat", path);
  }
  const bool directory = kind == PathKind::kDirectory;
  if (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode)) {
    return {};
  }
  return invalid_argument(printable(path) + ": not a " + (directory ? "directory" : "regular file"))
      .with_reason(directory ? "NOT_A_DIRECTORY" : "NOT_A_REGULAR_FILE")
      .with_detail("path", printable(path));
}

Status check_text(const std::string& root, const std::string& path) {
  if (path.empty()) {
    return refused(path, root, "an empty path");
  }
  if (path.find('\0') != std::string::npos) {
    return refused(path, root, "a NUL byte in the path");
  }
  return {};
}

}  // namespace

Result<std::string> resolve_beneath(const std::string& root, const std::string& path,
                                    PathKind kind) {
  ROTOR_RETURN_IF_ERROR(check_text(root, path));
  const PathHandle root_fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (root_fd.get() < 0) {
    return errno_error(errno, "open the root", root);
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string real_root, real_path(root_fd.get(), root));
  ROTOR_ASSIGN_OR_RETURN(const std::string relative, relative_to(root, real_root, path));
  int opened = open_beneath(root_fd.get(), relative);
  if (opened < 0 && errno == EXDEV) {
    const std::string again = by_real_path(real_root, relative);
    opened = again.empty() ? -1 : open_beneath(root_fd.get(), again);
    errno = again.empty() ? EXDEV : errno;
  }
  const PathHandle fd(opened);
  if (fd.get() < 0) {
    return open_error(errno, root, path);
  }
  ROTOR_RETURN_IF_ERROR(check_kind(fd.get(), path, kind));
  return real_path(fd.get(), path);
}

Result<std::string> resolve_new_beneath(const std::string& root, const std::string& path) {
  ROTOR_RETURN_IF_ERROR(check_text(root, path));
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) {
    trimmed.pop_back();
  }
  const size_t slash = trimmed.rfind('/');
  const std::string name = slash == std::string::npos ? trimmed : trimmed.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return refused(path, root, "no name of something to create at its end");
  }
  ROTOR_ASSIGN_OR_RETURN(const std::string parent,
                         resolve_beneath(root, parent_directory(trimmed), PathKind::kDirectory));
  const std::string full = join_path(parent, name);
  struct stat st {};
  if (::lstat(full.c_str(), &st) == 0 && S_ISLNK(st.st_mode)) {
    return refused(path, root, "a symlink, where something is to be created");
  }
  return full;
}

}  // namespace rotor
