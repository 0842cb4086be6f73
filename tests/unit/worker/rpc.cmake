# What talks to the coordinator.
add_executable(rotor_worker_rpc_test rpc/drain_test.cpp)
target_link_libraries(rotor_worker_rpc_test PRIVATE
  rotor_warnings rotor_worker_rpc GTest::gtest_main)
gtest_discover_tests(rotor_worker_rpc_test DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit)
