#include "coordinator/observe/status_page.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

#include "coordinator/store/sqlite.h"
#include "tests/support/captured_log.h"
#include "tests/support/coordinator/core_fixture.h"

namespace rotor::coordinator {
namespace {

/// All that a server of this host answers to a GET of /.
std::string get(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  EXPECT_EQ(::write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  std::string answer;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = ::read(fd, piece.data(), piece.size())) > 0;) {
    answer.append(piece.data(), static_cast<size_t>(n));
  }
  ::close(fd);
  return answer;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(StatusPage, AViewThatFailsIsAnswered503AndTheNextOneIsTried) {
  int views = 0;
  const testing::CapturedLog log;
  const auto page = StatusPage::start(
      [&views]() -> Result<StatusView> {
        ++views;
        if (views == 1) {
          return data_loss("the store is damaged");
        }
        return views == 2 ? throw std::runtime_error("no memory") : StatusView();
      },
      "127.0.0.1:0");
  ASSERT_OK(page);
  for (const char* why : {"the store is damaged", "no memory"}) {
    const std::string answer = get((*page)->port());
    EXPECT_TRUE(contains(answer, " 503 ")) << answer;
    EXPECT_FALSE(contains(answer, why)) << answer;
    EXPECT_TRUE(contains(log.text(), why)) << log.text();
  }
  const std::string answer = get((*page)->port());
  EXPECT_TRUE(contains(answer, " 200 ")) << answer;
}

class StatusLookTest : public testing::CoreTest {};

TEST_F(StatusLookTest, ShowsJobsWithTheErrorsOfTheirLayers) {
  const std::string ended = submit("r1", "a");
  run_to_end();
  const std::string open = submit("r2", "b");
  commit("g", 0, 2);
  const auto view = look_at(*core_, clock_);
  ASSERT_OK(view);
  ASSERT_EQ(view->jobs.size(), 2U);
  EXPECT_EQ(view->jobs[0].job.name(), open);
  EXPECT_EQ(view->jobs[0].layer_errors.size(), 2U);
  EXPECT_EQ(view->jobs[1].job.name(), ended);
  EXPECT_EQ(view->jobs[1].layer_errors.size(), 4U);
}

TEST_F(StatusLookTest, ADamagedStoreIsAnErrorAndNoEmptyPage) {
  submit();
  Database database;
  ASSERT_OK(database.open(demo_.state() + "/jobs.sqlite"));
  ASSERT_OK(database.execute("UPDATE jobs SET spec=x'ff'"));
  EXPECT_FAILS(look_at(*core_, clock_), Code::kDataLoss, "STORE_CORRUPT", "spec");
}

}  // namespace
}  // namespace rotor::coordinator
