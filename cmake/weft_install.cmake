# Install rules: the libraries, their headers, the CMake package `weft` with one component a library,
# and a pkg-config module a library. What is installed may be moved as a whole.
include(CMakePackageConfigHelpers)

set(weft_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/weft")
set(weft_pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# From a .pc file to the prefix; absolute where a distribution asked for absolute folders.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(weft_pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH weft_pc_prefix "/prefix/${weft_pkgconfig_dir}" "/prefix")
  string(REGEX REPLACE "/$" "" weft_pc_prefix "\${pcfiledir}/${weft_pc_prefix}")
endif()
foreach(dir IN ITEMS LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(weft_pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(weft_pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()

# weft_install_pkgconfig(NAME DESCRIPTION [REQUIRES module...] [LIBS_PRIVATE flag...]): the module
# weft-NAME. What an archive leaves to the final link is public, what a shared library has already
# linked is private. Macros and flags come from the target, so that they cannot differ from its own.
function(weft_install_pkgconfig name description)
  cmake_parse_arguments(arg "" "" "REQUIRES;LIBS_PRIVATE" ${ARGN})
  set(target weft_${name})
  list(JOIN arg_REQUIRES " " requires)
  list(JOIN arg_LIBS_PRIVATE " " libs_private)
  if(libs_private AND BUILD_SHARED_LIBS)
    set(link_line "\nLibs.private: ${libs_private}")
  elseif(libs_private)
    set(link_line " ${libs_private}")
  else()
    set(link_line "")
  endif()
  foreach(kind IN ITEMS COMPILE_DEFINITIONS COMPILE_OPTIONS LINK_OPTIONS)
    set(property "$<TARGET_PROPERTY:${target},INTERFACE_${kind}>")
    set(glue " ")
    if(kind STREQUAL "COMPILE_DEFINITIONS")
      set(glue " -D")
    endif()
    set(${kind} "$<$<BOOL:${property}>:${glue}$<JOIN:${property},${glue}>>")
  endforeach()
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/pkgconfig/weft-${name}.pc" CONTENT
"prefix=${weft_pc_prefix}
libdir=${weft_pc_LIBDIR}
includedir=${weft_pc_INCLUDEDIR}

Name: weft-${name}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${requires}
Libs: -L\${libdir} -l${target}${LINK_OPTIONS}${link_line}
Cflags: -I\${includedir}${COMPILE_DEFINITIONS}${COMPILE_OPTIONS}
" TARGET ${target})
  install(FILES "${CMAKE_BINARY_DIR}/pkgconfig/weft-${name}.pc" DESTINATION "${weft_pkgconfig_dir}")
endfunction()

# weft_install_library(NAME): library, headers and exported target of weft::NAME.
function(weft_install_library name)
  install(TARGETS weft_${name} EXPORT weft_${name}_targets
          LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
          INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/${name}/include/"
          DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp")
  install(EXPORT weft_${name}_targets NAMESPACE weft:: FILE weft_${name}_targets.cmake
          DESTINATION "${weft_package_dir}")
  # The libraries find each other wherever they are moved to.
  set_target_properties(weft_${name} PROPERTIES INSTALL_RPATH "$ORIGIN")
endfunction()

weft_install_library(fiber)
weft_install_library(net)

# Set by fiber/: whether this build's machine context is Boost.Context.
if(WEFT_USES_BOOST_CONTEXT)
  set(WEFT_USES_BOOST_CONTEXT ON)
  set(weft_fiber_libs -lboost_context -pthread)
else()
  set(WEFT_USES_BOOST_CONTEXT OFF)
  set(weft_fiber_libs -pthread)
endif()
weft_install_pkgconfig(fiber "Fibers: a scheduler, timers, waiting and joining"
                       LIBS_PRIVATE ${weft_fiber_libs})
weft_install_pkgconfig(net "Sockets that park only the calling fiber" REQUIRES weft-fiber)

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/weftConfig.cmake.in"
                              "${CMAKE_BINARY_DIR}/cmake/weftConfig.cmake"
                              INSTALL_DESTINATION "${weft_package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 the interface may change with each minor version.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/cmake/weftConfigVersion.cmake"
                                 COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_SOURCE_DIR}/tools/gdb/weft.py"
        DESTINATION "${CMAKE_INSTALL_DATADIR}/weft/gdb")
install(FILES "${CMAKE_BINARY_DIR}/cmake/weftConfig.cmake"
              "${CMAKE_BINARY_DIR}/cmake/weftConfigVersion.cmake"
        DESTINATION "${weft_package_dir}")
