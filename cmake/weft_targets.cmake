# What every target of weft shares: the language level, the warnings, the sanitizers, where the
# binaries go.
include(GNUInstallDirs)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
  set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()

# weft_configure(target): language level, warnings and sanitizers of our own code. Private, but for
# the language level, so that users keep their own warnings.
function(weft_configure target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  if(PROJECT_IS_TOP_LEVEL)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion
                                             -Wnon-virtual-dtor -Woverloaded-virtual
                                             $<$<BOOL:${WEFT_WERROR}>:-Werror>)
    # g++ 12 finds overlaps in `"text" + std::string` where there are none: GCC bug 105651.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
      target_compile_options(${target} PRIVATE -Wno-restrict)
    endif()
  endif()
  if(WEFT_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer
                                            -fno-sanitize-recover=all)
    # This check opens a pipe to see whether memory can be read, and reports an error that is none
    # when descriptors have run out, which is what some tests are about.
    target_compile_options(${target} PUBLIC -fno-sanitize=vptr)
    target_link_options(${target} PUBLIC -fsanitize=${WEFT_SANITIZE})
  endif()
endfunction()

# Where a library is optimised its sources are compiled as one: what they call of each other is then
# in line, which takes a fifth off the start and end of a task. Not under generators of several
# configurations, nor under sanitizers: these builds see each source alone.
option(WEFT_MERGE_SOURCES "Compile each library as one source in optimised builds" ON)
get_property(weft_many_configurations GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
string(TOUPPER "${CMAKE_BUILD_TYPE}" weft_build_type)
set(weft_merges_sources OFF)
if(WEFT_MERGE_SOURCES AND NOT WEFT_SANITIZE AND NOT weft_many_configurations
   AND weft_build_type MATCHES "^(RELEASE|RELWITHDEBINFO|MINSIZEREL)$")
  set(weft_merges_sources ON)
endif()

# weft_add_library(NAME SOURCES file... [DEPENDS target...]): the library weft::NAME with its public
# headers in NAME/include.
function(weft_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(weft_${name} ${arg_SOURCES})
  add_library(weft::${name} ALIAS weft_${name})
  set_target_properties(weft_${name} PROPERTIES EXPORT_NAME ${name} VERSION ${PROJECT_VERSION}
                                                SOVERSION 0)
  target_include_directories(weft_${name}
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(weft_${name} PUBLIC ${arg_DEPENDS})
  weft_configure(weft_${name})
  if(weft_merges_sources)
    set_target_properties(weft_${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
  # Sources that are merged g++ takes for headers, whose types have to be the same everywhere.
  target_compile_options(weft_${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endfunction()

# weft_add_program(NAME SOURCES file... [DEPENDS target...]): the executable bin/NAME.
function(weft_add_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS})
  weft_configure(${name})
endfunction()

# weft_add_test(NAME SOURCES file... [DEPENDS target...] [PROGRAMS target...]): a GoogleTest suite,
# registered case by case. PROGRAMS are executables that the cases start.
function(weft_add_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PROGRAMS" ${ARGN})
  weft_add_program(${name} SOURCES ${arg_SOURCES} DEPENDS ${arg_DEPENDS} GTest::gtest_main)
  if(arg_PROGRAMS)
    add_dependencies(${name} ${arg_PROGRAMS})
    target_compile_definitions(${name} PRIVATE WEFT_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
endfunction()

# weft_use_fiber_internals(target): lets a test or a bench include the private headers of fiber/.
function(weft_use_fiber_internals target)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/fiber/src")
  if(WEFT_USES_BOOST_CONTEXT)
    find_package(Boost 1.81 REQUIRED COMPONENTS context)
    target_link_libraries(${target} PRIVATE Boost::context)
    target_compile_definitions(${target} PRIVATE WEFT_CONTEXT_FCONTEXT)
  else()
    target_compile_definitions(${target} PRIVATE WEFT_CONTEXT_NATIVE)
  endif()
endfunction()
