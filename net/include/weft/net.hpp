// All of weft::net, and of weft::fiber below it: sockets on fibers.
#pragma once

#include <weft/fiber.hpp>                // IWYU pragma: export
#include <weft/net/basic_socket.hpp>     // IWYU pragma: export
#include <weft/net/borrowed_bytes.hpp>   // IWYU pragma: export
#include <weft/net/datagram_socket.hpp>  // IWYU pragma: export
#include <weft/net/endpoint.hpp>         // IWYU pragma: export
#include <weft/net/listener.hpp>         // IWYU pragma: export
#include <weft/net/serve.hpp>            // IWYU pragma: export
#include <weft/net/socket.hpp>           // IWYU pragma: export
#include <weft/net/stream.hpp>           // IWYU pragma: export
