# What `cmake --install` puts where, and the CMake package: find_package(vitrail [COMPONENTS codecs]).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/vitrail)

install(TARGETS vitrail EXPORT vitrailTargets)
install(DIRECTORY include/vitrail DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(EXPORT vitrailTargets NAMESPACE vitrail:: DESTINATION ${package_dir})

# A static vitrail leaves the linking of oneDNN to the program.
set(needs_onednn OFF)
if(TARGET DNNL::dnnl AND NOT BUILD_SHARED_LIBS)
  set(needs_onednn ON)
  install(FILES cmake/FindoneDNN.cmake DESTINATION ${package_dir})
endif()

# The codecs are a component of their own: a program that feeds camera frames needs no libjpeg, libpng and libwebp.
set(codecs_packages)
if(WebP_FOUND)
  install(FILES cmake/FindWebP.cmake DESTINATION ${package_dir})
endif()
if(TARGET vitrail_codecs)
  install(TARGETS vitrail_codecs EXPORT vitrailCodecsTargets)
  install(DIRECTORY tools/codecs/include/vitrail DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT vitrailCodecsTargets NAMESPACE vitrail:: DESTINATION ${package_dir})
  foreach(package IN ITEMS JPEG PNG WebP)
    if(${package}_FOUND)
      list(APPEND codecs_packages ${package})
    endif()
  endforeach()
endif()
if(TARGET vitrail_program)
  install(TARGETS vitrail_program OPTIONAL)  # where it was built
endif()

configure_package_config_file(cmake/vitrailConfig.cmake.in ${PROJECT_BINARY_DIR}/vitrailConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/vitrailConfig.cmake ${PROJECT_BINARY_DIR}/vitrailConfigVersion.cmake
        DESTINATION ${package_dir})
