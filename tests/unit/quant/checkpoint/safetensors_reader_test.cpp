#include "quant/checkpoint/safetensors_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "quant/base/sha256.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

using testing::TemporaryDirectory;

std::string length_field(uint64_t length) {
  std::string field;
  for (int i = 0; i < 8; ++i) {
    field += static_cast<char>(length >> (8 * i) & 0xff);
  }
  return field;
}

std::string file_with(const std::string& header, const std::string& data) {
  return length_field(header.size()) + header + data;
}

const std::string kHeader =
    R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";

TEST(SafetensorsReader, ReadsTensors) {
  const TemporaryDirectory dir;
  const std::string path = dir.put("m.safetensors", file_with(kHeader, "012345"));
  const auto file = SafetensorsFile::open(posix_file_system(), path);
  ASSERT_OK(file);
  const SafetensorsEntry* b = (*file)->find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ((*file)->find("c"), nullptr);
  char bytes[2] = {};
  ASSERT_OK((*file)->read(*b, 0, bytes, 2));
  EXPECT_EQ(std::string_view(bytes, 2), "45");
  ASSERT_OK((*file)->read(*b, 1, bytes, 1));
  EXPECT_EQ(bytes[0], '5');
  for (const auto& [offset, n] : {std::pair<int64_t, size_t>{1, 2}, {-1, 1}, {3, 0}}) {
    EXPECT_FAILS((*file)->read(*b, offset, bytes, n), Code::kOutOfRange, "BAD_RANGE", "tensor b");
  }
  EXPECT_EQ((*file)->header_digest(), sha256_hex(length_field(kHeader.size()) + kHeader));
  EXPECT_OK((*file)->check_unchanged());
}

// faults.24
TEST(SafetensorsReader, Faults24_LengthField) {
  const TemporaryDirectory dir;
  const auto refused = [&](const std::string& bytes, const std::string& words) {
    const std::string path = dir.put("m.safetensors", bytes);
    EXPECT_FAILS(SafetensorsFile::open(posix_file_system(), path), Code::kInvalidArgument,
                 "BAD_SAFETENSORS", words);
  };
  refused("", "0 bytes, shorter than the 8");
  refused("1234567", "7 bytes, shorter than the 8");
  refused(length_field(3) + "{}", "header length 3 in a file of 10 bytes");
  refused(length_field(100'000'001), "header length 100000001, over 100000000");
  refused(length_field(~uint64_t{0}), "header length 18446744073709551615");
  refused(length_field(uint64_t{1} << 63) + "{}", "header length");
  refused(length_field(0), "header");
}

// faults.24
TEST(SafetensorsReader, Faults24_EveryTruncationIsRefused) {
  const TemporaryDirectory dir;
  const std::string whole = file_with(kHeader, "012345");
  for (size_t n = 0; n < whole.size(); ++n) {
    const std::string path = dir.put("m.safetensors", whole.substr(0, n));
    EXPECT_FAILS(SafetensorsFile::open(posix_file_system(), path), Code::kInvalidArgument,
                 "BAD_SAFETENSORS", path);
  }
}

// faults.24
TEST(SafetensorsReader, Faults24_AHugeSparseFileAllocatesNothing) {
  const TemporaryDirectory dir;
  const std::string path = dir.put("m.safetensors", length_field(uint64_t{1} << 40));
  ASSERT_EQ(::truncate(path.c_str(), off_t{1} << 42), 0);
  EXPECT_FAILS(SafetensorsFile::open(posix_file_system(), path), Code::kInvalidArgument,
               "BAD_SAFETENSORS", "header length");
}

class ChangedFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = dir_.put("m.safetensors", file_with(kHeader, "012345"));
    auto file = SafetensorsFile::open(posix_file_system(), path_);
    ASSERT_OK(file);
    file_ = std::move(file).value();
  }
  Status read() const {
    char bytes[2];
    return file_->read(*file_->find("b"), 0, bytes, 2);
  }

  TemporaryDirectory dir_;
  std::string path_;
  std::unique_ptr<SafetensorsFile> file_;
};

// faults.23
TEST_F(ChangedFile, Faults23_Truncated) {
  ASSERT_EQ(::truncate(path_.c_str(), 20), 0);
  EXPECT_FAILS(read(), Code::kFailedPrecondition, "SOURCE_CHANGED", path_ + ": was truncated");
  EXPECT_FAILS(file_->check_unchanged(), Code::kFailedPrecondition, "SOURCE_CHANGED", path_);
}

// faults.23
TEST_F(ChangedFile, Faults23_Rewritten) {
  dir_.put("m.safetensors", file_with(kHeader, "abcdef"));
  const timespec later[2] = {{2'000'000'000, 0}, {2'000'000'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path_.c_str(), later, 0), 0);
  EXPECT_FAILS(read(), Code::kFailedPrecondition, "SOURCE_CHANGED", path_ + ": was rewritten");
}

// faults.23
TEST_F(ChangedFile, Faults23_Replaced) {
  ASSERT_OK(write_file_atomically(posix_file_system(), path_, file_with(kHeader, "abcdef")));
  // The open file is still the old one, but to lose its name is a change of its inode.
  EXPECT_FAILS(read(), Code::kFailedPrecondition, "SOURCE_CHANGED", path_);
  EXPECT_FAILS(file_->check_unchanged(), Code::kFailedPrecondition, "SOURCE_CHANGED", path_);
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  EXPECT_FAILS(file_->check_unchanged(), Code::kFailedPrecondition, "SOURCE_CHANGED", "removed");
}

}  // namespace
}  // namespace rotor
