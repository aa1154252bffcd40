# Every library the project uses, found in one place: the system's package first.
find_package(Threads REQUIRED)
find_package(xsimd 8.1 REQUIRED)
find_package(nlohmann_json 3.9 REQUIRED)
if(VITRAIL_ONEDNN)
  find_package(dnnl CONFIG)
endif()
