#include "quant/checkpoint/safetensors_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "quant/checkpoint/safetensors_reader.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using testing::FaultyFileSystem;
using testing::file_bytes;
using testing::TemporaryDirectory;

const std::vector<TensorSpec> kSpecs{{"small", DType::kU8, {5}}, {"wide", DType::kF64, {2}}};
const std::string kSmall = "01234";
const std::string kWide = "abcdefghijklmnop";

Status write_all(FileSystem& fs, const std::string& path) {
  ROTOR_ASSIGN_OR_RETURN(const auto writer, SafetensorsWriter::create(fs, path, kSpecs));
  ROTOR_RETURN_IF_ERROR(writer->write("small", 0, kSmall.data(), kSmall.size()));
  ROTOR_RETURN_IF_ERROR(writer->write("wide", 0, kWide.data(), kWide.size()));
  return writer->finish();
}

TEST(SafetensorsWriter, ChunksInAnyOrderGiveTheSameBytes) {
  const TemporaryDirectory dir;
  FileSystem& fs = posix_file_system();
  ASSERT_OK(write_all(fs, dir / "a"));
  const auto writer = SafetensorsWriter::create(fs, dir / "b", {kSpecs[1], kSpecs[0]});
  ASSERT_OK(writer);
  for (size_t i = kWide.size(); i-- > 0;) {
    ASSERT_OK((*writer)->write("wide", static_cast<int64_t>(i), &kWide[i], 1));
  }
  ASSERT_OK((*writer)->write("small", 3, kSmall.data() + 3, 2));
  ASSERT_OK((*writer)->write("small", 0, kSmall.data(), 3));
  char back[2] = {};
  ASSERT_OK((*writer)->read("wide", 4, back, 2));
  EXPECT_EQ(std::string_view(back, 2), "ef");
  EXPECT_FALSE(*path_exists(fs, dir / "b"));
  ASSERT_OK((*writer)->finish());
  EXPECT_EQ(file_bytes(dir / "a"), file_bytes(dir / "b"));
  EXPECT_EQ(*fs.list(dir.path()), (std::vector<std::string>{"a", "b"}));

  const auto file = SafetensorsFile::open(fs, dir / "b");
  ASSERT_OK(file);
  std::string small(5, ' ');
  ASSERT_OK((*file)->read(*(*file)->find("small"), 0, small.data(), small.size()));
  EXPECT_EQ(small, kSmall);
}

TEST(SafetensorsWriter, RefusesWhatDoesNotFit) {
  const TemporaryDirectory dir;
  const auto writer = SafetensorsWriter::create(posix_file_system(), dir / "a", kSpecs);
  ASSERT_OK(writer);
  EXPECT_FAILS((*writer)->write("absent", 0, "x", 1), Code::kNotFound, "MISSING_TENSOR", "absent");
  EXPECT_FAILS((*writer)->write("small", 5, "x", 1), Code::kOutOfRange, "BAD_RANGE", "small");
  EXPECT_FAILS((*writer)->write("small", -1, "x", 1), Code::kOutOfRange, "BAD_RANGE", "small");
}

TEST(SafetensorsWriter, ResumesAfterARestart) {
  const TemporaryDirectory dir;
  FileSystem& fs = posix_file_system();
  {
    const auto writer = SafetensorsWriter::create(fs, dir / "a", kSpecs);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->write("small", 0, kSmall.data(), kSmall.size()));
    ASSERT_OK((*writer)->sync());
  }
  const auto writer = SafetensorsWriter::resume(fs, dir / "a", kSpecs);
  ASSERT_OK(writer);
  ASSERT_OK((*writer)->write("wide", 0, kWide.data(), kWide.size()));
  ASSERT_OK((*writer)->finish());
  ASSERT_OK(write_all(fs, dir / "b"));
  EXPECT_EQ(file_bytes(dir / "a"), file_bytes(dir / "b"));
}

TEST(SafetensorsWriter, DoesNotResumeAnotherFile) {
  const TemporaryDirectory dir;
  FileSystem& fs = posix_file_system();
  EXPECT_EQ(SafetensorsWriter::resume(fs, dir / "a", kSpecs).status().code(), Code::kNotFound);
  ASSERT_OK(SafetensorsWriter::create(fs, dir / "a", kSpecs));
  auto other = kSpecs;
  other[0].name = "smell";
  EXPECT_FAILS(SafetensorsWriter::resume(fs, dir / "a", other), Code::kFailedPrecondition,
               "PARTIAL_FILE_DIFFERS", "a.partial");
  other[0].shape = {6};
  EXPECT_FAILS(SafetensorsWriter::resume(fs, dir / "a", other), Code::kFailedPrecondition,
               "PARTIAL_FILE_DIFFERS", "a.partial");
}

// faults.12
TEST(SafetensorsWriter, Faults12_WhicheverCallFailsTheNameHoldsNothingPartial) {
  const TemporaryDirectory dir;
  FaultyFileSystem counter;
  ASSERT_OK(write_all(counter, dir / "whole"));
  for (int64_t i = 0; i < counter.plan().calls; ++i) {
    FaultyFileSystem faulty;
    faulty.plan().fail_at = i;
    EXPECT_FALSE(write_all(faulty, dir / "a").ok()) << "call " << i;
    if (*path_exists(posix_file_system(), dir / "a")) {
      EXPECT_EQ(counter.plan().log[static_cast<size_t>(i)], "sync_dir");
      EXPECT_EQ(file_bytes(dir / "a"), file_bytes(dir / "whole"));
    }
    ASSERT_OK(remove_all(posix_file_system(), dir / "a"));
    ASSERT_OK(write_all(posix_file_system(), dir / "a"));
    EXPECT_EQ(file_bytes(dir / "a"), file_bytes(dir / "whole"));
    ASSERT_OK(remove_all(posix_file_system(), dir / "a"));
  }
}

TEST(SafetensorsWriter, Faults11And13_FullDisksAndShortWrites) {
  const TemporaryDirectory dir;
  FaultyFileSystem tight;
  tight.plan().max_transfer = 2;
  ASSERT_OK(write_all(tight, dir / "a"));
  ASSERT_OK(write_all(posix_file_system(), dir / "b"));
  EXPECT_EQ(file_bytes(dir / "a"), file_bytes(dir / "b"));
  FaultyFileSystem full;
  full.plan().disk_bytes = std::ssize(file_bytes(dir / "b")) - 1;
  EXPECT_FAILS(write_all(full, dir / "c"), Code::kResourceExhausted, "DISK_FULL", "c.partial");
}

}  // namespace
}  // namespace rotor
