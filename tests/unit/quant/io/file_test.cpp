#include "quant/io/file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/support/faulty_file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using testing::FaultyFileSystem;
using testing::file_bytes;
using testing::TemporaryDirectory;

FileSystem& fs() {
  return posix_file_system();
}

TEST(File, ReadsAtOffsetsAndRefusesTheEnd) {
  const TemporaryDirectory dir;
  const std::string path = dir.put("a", "0123456789");
  const auto file = fs().open_for_reading(path);
  ASSERT_OK(file);
  char buffer[4] = {};
  ASSERT_OK((*file)->read(3, buffer, 4));
  EXPECT_EQ(std::string_view(buffer, 4), "3456");
  EXPECT_FAILS((*file)->read(8, buffer, 4), Code::kDataLoss, "FILE_TRUNCATED",
               path + ": ends at byte 10");
}

TEST(File, WritesAtOffsetsAndAppends) {
  const TemporaryDirectory dir;
  const auto file = fs().open_for_writing(dir / "a", OpenMode::kCreateNew);
  ASSERT_OK(file);
  ASSERT_OK((*file)->append("abc"));
  ASSERT_OK((*file)->append("def"));
  ASSERT_OK((*file)->write_at(8, "xy", 2));
  ASSERT_OK((*file)->write_at(0, "A", 1));
  const auto reader = (*file)->reader();
  ASSERT_OK(reader);
  char first = 0;
  ASSERT_OK((*reader)->read(0, &first, 1));
  EXPECT_EQ(first, 'A');
  ASSERT_OK((*file)->sync());
  ASSERT_OK((*file)->close());
  EXPECT_EQ(file_bytes(dir / "a"), std::string("Abcdef\0\0xy", 10));
  EXPECT_EQ(fs().open_for_writing(dir / "a", OpenMode::kCreateNew).status().code(),
            Code::kAlreadyExists);
  EXPECT_EQ(fs().open_for_writing(dir / "b", OpenMode::kExisting).status().code(), Code::kNotFound);
}

// faults.25
TEST(File, Faults25_RefusesEverythingButRegularFiles) {
  const TemporaryDirectory dir;
  const std::string fifo = dir / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string socket = dir / "socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(socket.size(), sizeof(address.sun_path));
  std::strcpy(address.sun_path, socket.c_str());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  for (const std::string& path : {fifo, socket, dir.path(), std::string("/dev/zero")}) {
    EXPECT_FAILS(fs().open_for_reading(path), Code::kInvalidArgument, "NOT_A_REGULAR_FILE", path);
    EXPECT_FAILS(fs().open_for_writing(path, OpenMode::kExisting), Code::kInvalidArgument,
                 "NOT_A_REGULAR_FILE", path);
  }
  ::close(listener);
}

// faults.13
TEST(File, Faults13_LoopsOverShortReadsAndWrites) {
  const TemporaryDirectory dir;
  FaultyFileSystem faulty;
  faulty.plan().max_transfer = 3;
  ASSERT_OK(write_file_atomically(faulty, dir / "a", "0123456789"));
  EXPECT_EQ(file_bytes(dir / "a"), "0123456789");
  const auto bytes = read_whole_file(faulty, dir / "a", 100);
  ASSERT_OK(bytes);
  EXPECT_EQ(*bytes, "0123456789");
}

// faults.12
TEST(File, Faults12_AnAtomicWriteLeavesOldOrNewWhicheverCallFails) {
  const TemporaryDirectory dir;
  FaultyFileSystem counter;
  ASSERT_OK(write_file_atomically(counter, dir / "a", "old"));
  const int64_t calls = counter.plan().calls;
  ASSERT_GE(calls, 6);  // open, truncate is open's, write, fsync, close, rename, sync_dir
  for (int64_t i = 0; i < calls; ++i) {
    ASSERT_OK(write_file_atomically(fs(), dir / "a", "old"));
    FaultyFileSystem faulty;
    faulty.plan().fail_at = i;
    EXPECT_FAILS(write_file_atomically(faulty, dir / "a", "new"), Code::kUnavailable, "IO_ERROR",
                 dir.path());
    // Only after the rename, when the directory's sync failed, does the new content show.
    EXPECT_EQ(file_bytes(dir / "a"), i + 1 == calls ? "new" : "old") << "call " << i;
    const auto left = fs().list(dir.path());
    ASSERT_OK(left);
    EXPECT_EQ(*left, std::vector<std::string>{"a"}) << "call " << i;
  }
}

TEST(File, AnAtomicWriteSyncsTheFileBeforeAndTheDirectoryAfterTheRename) {
  const TemporaryDirectory dir;
  FaultyFileSystem recorder;
  ASSERT_OK(write_file_atomically(recorder, dir / "a", "x"));
  EXPECT_EQ(recorder.plan().log,
            (std::vector<std::string>{"open", "write", "fsync", "close", "rename", "sync_dir"}));
}

// faults.11
TEST(File, Faults11_AFullDiskIsNamed) {
  const TemporaryDirectory dir;
  FaultyFileSystem faulty;
  faulty.plan().disk_bytes = 5;
  EXPECT_FAILS(write_file_atomically(faulty, dir / "a", "0123456789"), Code::kResourceExhausted,
               "DISK_FULL", dir / "a");
}

TEST(File, ReadWholeFileRefusesLongFilesBeforeAllocating) {
  const TemporaryDirectory dir;
  const std::string path = dir.put("a", "0123456789");
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 40), 0);
  EXPECT_FAILS(read_whole_file(fs(), path, 100), Code::kInvalidArgument, "FILE_TOO_LARGE", path);
}

TEST(File, CreatesAndRemovesTrees) {
  const TemporaryDirectory dir;
  ASSERT_OK(create_directories(fs(), dir / "a/b/c"));
  ASSERT_OK(create_directories(fs(), dir / "a/b/c"));
  dir.put("a/b/file", "x");
  EXPECT_FAILS(create_directories(fs(), dir / "a/b/file"), Code::kAlreadyExists, "FILE_EXISTS", "");
  EXPECT_FALSE(create_directories(fs(), dir / "a/b/file/d").ok());
  const std::string outside = dir.put("outside", "kept");
  ASSERT_EQ(::symlink(outside.c_str(), (dir / "a/link").c_str()), 0);
  ASSERT_OK(remove_all(fs(), dir / "a"));
  ASSERT_OK(remove_all(fs(), dir / "a"));
  EXPECT_EQ(file_bytes(outside), "kept");
  EXPECT_FALSE(*path_exists(fs(), dir / "a"));
}

TEST(File, CopiesInPieces) {
  const TemporaryDirectory dir;
  std::string bytes(3'000'001, 'a');
  bytes[2'500'000] = 'b';
  ASSERT_OK(copy_file(fs(), dir.put("a", bytes), dir / "b"));
  EXPECT_EQ(file_bytes(dir / "b"), bytes);
}

TEST(File, StatTellsKindsApart) {
  const TemporaryDirectory dir;
  const std::string path = dir.put("a", "123");
  ASSERT_EQ(::symlink(path.c_str(), (dir / "link").c_str()), 0);
  EXPECT_TRUE(fs().stat(dir.path())->is_directory());
  EXPECT_EQ(fs().stat(dir / "link")->size, 3);
  EXPECT_EQ(fs().stat_link(dir / "link")->type, FileType::kSymlink);
  EXPECT_GT(fs().stat(path)->mtime_ns, int64_t{1'600'000'000} * 1'000'000'000);
  EXPECT_GT(*fs().free_space(path), 0);
}

TEST(File, Paths) {
  EXPECT_EQ(parent_directory("a/b/c"), "a/b");
  EXPECT_EQ(parent_directory("a/b/"), "a");
  EXPECT_EQ(parent_directory("/a"), "/");
  EXPECT_EQ(parent_directory("/"), "/");
  EXPECT_EQ(parent_directory("a"), ".");
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
}

TEST(Paths, ExistingAboveIsTheNearestDirectoryThatIsThere) {
  const TemporaryDirectory dir;
  EXPECT_EQ(existing_above(fs(), dir.path() + "/a/b/c"), dir.path());
  EXPECT_EQ(existing_above(fs(), dir.path() + "/a"), dir.path());
  EXPECT_EQ(existing_above(fs(), "/"), "/");
}

}  // namespace
}  // namespace rotor
