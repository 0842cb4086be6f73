# What a worker says to the coordinator.
if(ROTOR_SERVICE)
  target_sources(rotor_worker_test PRIVATE
    rpc/reports_test.cpp)
  target_link_libraries(rotor_worker_test PRIVATE rotor_worker_rpc)

  # On their own: signals are raised, and gRPC is served.
  add_executable(rotor_worker_rpc_test rpc/attach_client_test.cpp rpc/drain_test.cpp)
  target_link_libraries(rotor_worker_rpc_test PRIVATE
    rotor_warnings rotor_worker_rpc GTest::gtest_main)
  gtest_discover_tests(rotor_worker_rpc_test DISCOVERY_TIMEOUT 60 PROPERTIES LABELS unit)
endif()
