# What stands behind the group's collectives.
target_sources(rotor_worker_test PRIVATE
  comm/collective_watchdog_test.cpp
  comm/progress_board_test.cpp
  comm/rank_table_test.cpp)
