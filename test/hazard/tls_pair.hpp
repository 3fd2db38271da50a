// Both ends of a TLS connection, of OpenSSL, with a certificate of its own making; what they say to
// each other goes through memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace weft::test {

class tls_pair {
public:
  /// Errors: throws std::runtime_error with what OpenSSL says; so do the others.
  tls_pair();
  tls_pair(const tls_pair&) = delete;
  tls_pair& operator=(const tls_pair&) = delete;
  ~tls_pair();

  /// Until both ends have done with it, and the client has verified the server's certificate.
  void shake_hands();
  /// Returns what the server reads when the client has written `text`.
  std::string send(std::string_view text);

private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace weft::test
