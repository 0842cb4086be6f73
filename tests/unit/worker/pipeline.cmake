# Pipeline, with ranks as threads, and the analysis on it.
target_sources(rotor_worker_test PRIVATE
  ../../support/thread_group.cpp
  analyze/analyze_test.cpp
  analyze/recommend_test.cpp
  analyze/row_sample_test.cpp
  pipeline/collective_source_test.cpp
  pipeline/expert_stage_test.cpp
  pipeline/families_test.cpp
  pipeline/lane_tree_test.cpp
  pipeline/manifest_test.cpp
  pipeline/memory_plan_test.cpp
  pipeline/shard_runner_test.cpp
  pipeline/stage_forward_test.cpp)
target_link_libraries(rotor_worker_test PRIVATE rotor_worker)
