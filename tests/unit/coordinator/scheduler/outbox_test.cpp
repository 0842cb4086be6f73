#include "coordinator/scheduler/outbox.h"

#include <gtest/gtest.h>

#include <thread>

namespace rotor::coordinator {
namespace {

v1::CoordinatorMessage lease(int64_t fence) {
  v1::CoordinatorMessage message;
  message.mutable_lease()->set_fence(fence);
  return message;
}

TEST(Outbox, GivesMessagesInOrderAndEndsWhenClosed) {
  Outbox outbox;
  std::thread producer([&] {
    for (int64_t fence = 1; fence <= 100; ++fence) {
      outbox.push(lease(fence));
    }
    outbox.close();
  });
  for (int64_t fence = 1; fence <= 100; ++fence) {
    const auto message = outbox.pop();
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->lease().fence(), fence);
  }
  EXPECT_FALSE(outbox.pop().has_value());
  producer.join();
}

TEST(Outbox, ClosesOnAReaderThatDoesNotRead) {
  Outbox outbox;
  for (size_t i = 0; i <= Outbox::kMostWaiting; ++i) {
    outbox.push(lease(1));
  }
  EXPECT_TRUE(outbox.closed());
}

}  // namespace
}  // namespace rotor::coordinator
