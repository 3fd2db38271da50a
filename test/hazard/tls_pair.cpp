#include "tls_pair.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdexcept>

namespace weft::test {
namespace {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using key_pointer = std::unique_ptr<EVP_PKEY, freed_by<&EVP_PKEY_free>>;
using certificate_pointer = std::unique_ptr<X509, freed_by<&X509_free>>;
using context_pointer = std::unique_ptr<SSL_CTX, freed_by<&SSL_CTX_free>>;
using connection_pointer = std::unique_ptr<SSL, freed_by<&SSL_free>>;

[[noreturn]] void fail(const std::string& what) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  throw std::runtime_error(what + ": " + text);
}

void require(bool condition, const char* what) {
  if (!condition) fail(what);
}

// For "localhost", signed by itself, for an hour.
certificate_pointer make_certificate(EVP_PKEY* key) {
  certificate_pointer made{X509_new()};
  require(made != nullptr, "X509_new");
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3'600);
  X509_set_pubkey(made.get(), key);
  X509_NAME* const name = X509_get_subject_name(made.get());
  require(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                     reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                                     0) == 1,
          "X509_NAME_add_entry_by_txt");
  X509_set_issuer_name(made.get(), name);
  require(X509_sign(made.get(), key, EVP_sha256()) != 0, "X509_sign");
  return made;
}

// Whether a call on `end` that has returned `result` is to be repeated once the other has answered.
bool wants_more(const connection_pointer& end, int result) {
  const int error = SSL_get_error(end.get(), result);
  return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

}  // namespace

struct tls_pair::parts {
  context_pointer client_context{SSL_CTX_new(TLS_client_method())};
  context_pointer server_context{SSL_CTX_new(TLS_server_method())};
  connection_pointer client;
  connection_pointer server;
};

tls_pair::tls_pair() : parts_(std::make_unique<parts>()) {
  require(parts_->client_context && parts_->server_context, "SSL_CTX_new");
  const key_pointer key{EVP_RSA_gen(2048)};
  require(key != nullptr, "EVP_RSA_gen");
  const certificate_pointer certificate = make_certificate(key.get());
  SSL_CTX* const server = parts_->server_context.get();
  require(SSL_CTX_use_certificate(server, certificate.get()) == 1, "SSL_CTX_use_certificate");
  require(SSL_CTX_use_PrivateKey(server, key.get()) == 1, "SSL_CTX_use_PrivateKey");
  SSL_CTX* const client = parts_->client_context.get();
  require(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificate.get()) == 1,
          "X509_STORE_add_cert");
  SSL_CTX_set_verify(client, SSL_VERIFY_PEER, nullptr);

  parts_->client.reset(SSL_new(client));
  parts_->server.reset(SSL_new(server));
  require(parts_->client && parts_->server, "SSL_new");
  BIO* of_client = nullptr;
  BIO* of_server = nullptr;
  require(BIO_new_bio_pair(&of_client, 0, &of_server, 0) == 1, "BIO_new_bio_pair");
  SSL_set_bio(parts_->client.get(), of_client, of_client);  // which take them over
  SSL_set_bio(parts_->server.get(), of_server, of_server);
}

tls_pair::~tls_pair() = default;

void tls_pair::shake_hands() {
  int of_client = 0;
  int of_server = 0;
  while (of_client != 1 || of_server != 1) {
    if (of_client != 1) of_client = SSL_connect(parts_->client.get());
    if (of_client != 1 && !wants_more(parts_->client, of_client)) fail("SSL_connect");
    if (of_server != 1) of_server = SSL_accept(parts_->server.get());
    if (of_server != 1 && !wants_more(parts_->server, of_server)) fail("SSL_accept");
  }
  require(SSL_get_verify_result(parts_->client.get()) == X509_V_OK, "SSL_get_verify_result");
}

std::string tls_pair::send(std::string_view text) {
  const int size = static_cast<int>(text.size());
  require(SSL_write(parts_->client.get(), text.data(), size) == size, "SSL_write");
  std::string read(text.size(), '\0');
  require(SSL_read(parts_->server.get(), read.data(), size) == size, "SSL_read");
  return read;
}

}  // namespace weft::test
