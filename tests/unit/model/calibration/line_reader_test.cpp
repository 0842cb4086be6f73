#include "model/calibration/line_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temporary_directory.h"

namespace rotor {
namespace {

std::vector<std::string> lines(const std::string& bytes) {
  const testing::TemporaryDirectory directory;
  const auto file = posix_file_system().open_for_reading(directory.put("f", bytes));
  EXPECT_OK(file);
  LineReader reader(**file);
  std::vector<std::string> out;
  std::string_view line;
  while (true) {
    const auto more = reader.next(line);
    EXPECT_OK(more);
    if (!more.ok() || !*more) {
      return out;
    }
    out.emplace_back(line);
    EXPECT_EQ(reader.line_number(), static_cast<int64_t>(out.size()));
  }
}

TEST(LineReader, CutsAtLineEnds) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines(""), Lines{});
  EXPECT_EQ(lines("a"), Lines{"a"});
  EXPECT_EQ(lines("a\n"), Lines{"a"});
  EXPECT_EQ(lines("a\n\nb\r\nc"), (Lines{"a", "", "b", "c"}));
  EXPECT_EQ(lines("\n"), Lines{""});
}

TEST(LineReader, LeavesAByteOrderMarkOut) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines("\xef\xbb\xbf"
                  "a\nb"),
            (Lines{"a", "b"}));
  EXPECT_EQ(lines("\xef\xbb\xbf"), Lines{});
  EXPECT_EQ(lines("a\n\xef\xbb\xbf"
                  "b"),
            (Lines{"a",
                   "\xef\xbb\xbf"
                   "b"}))
      << "it is text there";
}

TEST(LineReader, JoinsWhatItReadInPieces) {
  // The pieces are of 1 MiB: lines that end before, on and behind their borders.
  for (const size_t length : {(1U << 20) - 2, (1U << 20) - 1, 1U << 20, (1U << 20) + 1, 3U << 20}) {
    const std::string a(length, 'a');
    const auto found = lines(a + "\n" + a + "b\nend");
    ASSERT_EQ(found.size(), 3U) << length;
    EXPECT_TRUE(found[0] == a && found[1] == a + "b" && found[2] == "end") << length;
  }
}

TEST(LineReader, RefusesAnEndlessLine) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory.put("f", "short\n");
  // Sparse: takes no space.
  auto writable = posix_file_system().open_for_writing(path, OpenMode::kExisting);
  ASSERT_OK(writable);
  ASSERT_OK((*writable)->truncate(int64_t{300} << 20));
  const auto file = posix_file_system().open_for_reading(path);
  ASSERT_OK(file);
  LineReader reader(**file);
  std::string_view line;
  EXPECT_OK(reader.next(line));
  EXPECT_FAILS(reader.next(line), Code::kInvalidArgument, "LINE_TOO_LONG", path + ":2");
}

}  // namespace
}  // namespace rotor
