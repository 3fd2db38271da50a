#include <algorithm>
#include <arpa/inet.h>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <net/if.h>
#include <optional>
#include <ostream>
#include <sys/ioctl.h>
#include <type_traits>
#include <unistd.h>

#include <weft/net/endpoint.hpp>

namespace weft::net {
namespace {

static_assert(std::is_trivially_copyable_v<endpoint>);

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_capacity = sizeof(sockaddr_un::sun_path);
constexpr std::string_view unix_prefix = "unix:";

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Strictly decimal: no sign, no space, and no leading zero, which others read as octal.
template <class Number>
std::optional<Number> parse_decimal(std::string_view text) {
  if (!is_digits(text) || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  Number value{};
  const std::errc error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
  if (error != std::errc{}) return std::nullopt;
  return value;
}

// The C functions want a terminated string. Returns false for one that does not fit, and so
// cannot be what they look for.
template <std::size_t Size>
bool terminate(std::string_view text, std::array<char, Size>& copy) {
  if (text.size() >= Size) return false;
  *std::copy(text.begin(), text.end(), copy.begin()) = '\0';
  return true;
}

struct parsed {
  endpoint value{};
  const char* wrong = nullptr;  // what is wrong with the text, null when nothing is
  std::error_code ec =
      wrong ? std::make_error_code(std::errc::invalid_argument) : std::error_code{};
};

parsed refuse(const char* what) { return {{}, what}; }

const char* check_port(std::string_view text, std::uint16_t& port) {
  if (text.empty()) return "the port is missing";
  const auto value = parse_decimal<std::uint16_t>(text);
  if (!value) return "the port is not a decimal number from 0 to 65535";
  port = *value;
  return nullptr;
}

parsed parse_v4(std::string_view text) {
  if (text.starts_with('/') || text.starts_with('@')) {
    return refuse("a UNIX domain name stands behind unix:");
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("the port is missing");
  const std::string_view host = text.substr(0, colon);
  if (host.empty()) return refuse("the address in front of the port is missing");
  if (host == "*") return refuse("* is not accepted, every address is 0.0.0.0 or [::]");
  if (host.find(':') != std::string_view::npos) return refuse("an IPv6 address stands in brackets");

  std::array<char, INET_ADDRSTRLEN> terminated;
  std::array<std::uint8_t, 4> address;
  if (!terminate(host, terminated) || inet_pton(AF_INET, terminated.data(), &address) != 1) {
    return host.find_first_not_of("0123456789.") == std::string_view::npos
               ? refuse("its host is not an IPv4 address of four decimal numbers")
               : refuse("its host is not an address, and names are not looked up here");
  }
  std::uint16_t port = 0;
  if (const char* what = check_port(text.substr(colon + 1), port)) return refuse(what);
  return {endpoint::v4(address, port)};
}

// What if_nametoindex(3) does, but that one hides why it cannot have a socket. See netdevice(7).
std::error_code find_interface(const std::array<char, IF_NAMESIZE>& name, std::uint32_t& index) {
  const auto last_error = [] { return std::error_code{errno, std::system_category()}; };
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return last_error();
  ifreq request{};
  std::copy(name.begin(), name.end(), request.ifr_name);
  const std::error_code ec =
      ::ioctl(fd, SIOCGIFINDEX, &request) != 0 ? last_error() : std::error_code{};
  ::close(fd);
  index = static_cast<std::uint32_t>(request.ifr_ifindex);
  return ec;
}

parsed parse_scope(std::string_view text, std::uint32_t& scope) {
  if (is_digits(text)) {
    const auto number = parse_decimal<std::uint32_t>(text);
    if (!number) return refuse("the scope is not the number of an interface");
    scope = *number;
    return {};
  }
  std::array<char, IF_NAMESIZE> name{};
  // The kernel would look up what stands in front of a colon.
  if (text.empty() || text.find(':') != std::string_view::npos || !terminate(text, name)) {
    return refuse("the scope is not the name of an interface");
  }
  const std::error_code ec = find_interface(name, scope);
  if (!ec) return {};
  if (ec.value() == ENODEV) return refuse("there is no interface of that name");
  return {{}, "the interface cannot be looked up", ec};
}

parsed parse_v6(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  if (bracket == std::string_view::npos) return refuse("the closing bracket is missing");
  const std::string_view rest = text.substr(bracket + 1);
  if (!rest.empty() && rest.front() != ':') {
    return refuse("only a colon and the port may follow the bracket");
  }
  const std::string_view inside = text.substr(1, bracket - 1);
  const std::size_t percent = inside.find('%');

  std::array<char, INET6_ADDRSTRLEN> terminated;
  std::array<std::uint8_t, 16> address;
  if (!terminate(inside.substr(0, percent), terminated) ||
      inet_pton(AF_INET6, terminated.data(), &address) != 1) {
    return refuse("what stands in the brackets is not an IPv6 address");
  }
  std::uint16_t port = 0;
  if (const char* what = check_port(rest.empty() ? rest : rest.substr(1), port))
    return refuse(what);
  std::uint32_t scope = 0;
  if (percent != std::string_view::npos) {
    if (const parsed result = parse_scope(inside.substr(percent + 1), scope); result.wrong) {
      return result;
    }
  }
  return {endpoint::v6(address, port, scope)};
}

const char* describe_unix_error(const std::error_code& ec) {
  return ec == std::errc::filename_too_long ? "the name is longer than the 108 bytes of sun_path"
                                            : "it contains a NUL byte";
}

parsed make_unix(std::string_view path) {
  std::error_code ec;
  const endpoint value = endpoint::unix_domain(path, ec);
  return ec ? refuse(describe_unix_error(ec)) : parsed{value};
}

parsed parse_abstract(std::string_view escaped) {
  std::array<char, path_capacity> name;  // the leading NUL, then the name
  std::size_t size = 0;
  name[size++] = '\0';
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    char c = escaped[i];
    if (c == '\\') {
      const char code = ++i < escaped.size() ? escaped[i] : '\0';
      if (code != '0' && code != '\\') {
        return refuse("in an abstract name a backslash is written \\\\ and a NUL byte \\0");
      }
      c = code == '0' ? '\0' : '\\';
    }
    if (size == name.size()) {
      return refuse(describe_unix_error(std::make_error_code(std::errc::filename_too_long)));
    }
    name[size++] = c;
  }
  return make_unix({name.data(), size});
}

parsed parse_unix(std::string_view name) {
  if (name.starts_with('@')) return parse_abstract(name.substr(1));
  if (name == "\\") return refuse("the path behind the backslash is missing");
  if (!name.starts_with('\\')) return make_unix(name);
  // unix_domain() would take a leading @ for an abstract name, so it goes by the native form.
  sockaddr_un native{};
  native.sun_family = AF_UNIX;
  const std::string_view path = name.substr(1);
  if (path.size() > path_capacity) {
    return refuse(describe_unix_error(std::make_error_code(std::errc::filename_too_long)));
  }
  std::copy(path.begin(), path.end(), native.sun_path);
  std::error_code ec;
  return {endpoint::from_native(reinterpret_cast<const sockaddr*>(&native), sizeof native, ec)};
}

parsed parse_text(std::string_view text) {
  if (text.empty()) return refuse("it is empty");
  if (text.find('\0') != std::string_view::npos) return refuse("it contains a NUL byte");
  if (text.starts_with(unix_prefix)) return parse_unix(text.substr(unix_prefix.size()));
  if (text.starts_with('[')) return parse_v6(text);
  return parse_v4(text);
}

// Fit to stand in one line on a terminal.
std::string quote(std::string_view text) {
  constexpr std::size_t most = 160;  // longer than any valid form
  std::string quoted = "\"";
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      quoted += c;
      continue;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    quoted += {'\\', 'x', digits[byte / 16], digits[byte % 16]};
  }
  return quoted += text.size() > most ? "...\"" : "\"";
}

endpoint copy_v4(const sockaddr* address) noexcept {
  sockaddr_in native;
  std::memcpy(&native, address, sizeof native);
  return endpoint::v4(std::bit_cast<std::array<std::uint8_t, 4>>(native.sin_addr),
                      ntohs(native.sin_port));
}

endpoint copy_v6(const sockaddr* address) noexcept {
  sockaddr_in6 native;
  std::memcpy(&native, address, sizeof native);
  return endpoint::v6(std::bit_cast<std::array<std::uint8_t, 16>>(native.sin6_addr),
                      ntohs(native.sin6_port), native.sin6_scope_id);
}

std::string escape_abstract(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '\0' || c == '\\') escaped += '\\';
    escaped += c == '\0' ? '0' : c;
  }
  return escaped;
}

std::string print_unix(std::string_view path) {
  std::string text(unix_prefix);
  if (path.starts_with('\0')) return text + '@' + escape_abstract(path.substr(1));
  if (path.starts_with('@') || path.starts_with('\\')) text += '\\';
  return text += path;
}

}  // namespace

endpoint::endpoint() noexcept {
  std::memset(&address_, 0, sizeof address_);
  address_.any.sa_family = AF_UNSPEC;
  size_ = sizeof(sa_family_t);
}

endpoint endpoint::v4(std::array<std::uint8_t, 4> address, std::uint16_t port) noexcept {
  endpoint result;
  result.address_.v4.sin_family = AF_INET;
  result.address_.v4.sin_port = htons(port);
  std::memcpy(&result.address_.v4.sin_addr, address.data(), address.size());
  result.size_ = sizeof(sockaddr_in);
  return result;
}

endpoint endpoint::v6(std::array<std::uint8_t, 16> address, std::uint16_t port,
                      std::uint32_t scope_id) noexcept {
  endpoint result;
  result.address_.v6.sin6_family = AF_INET6;
  result.address_.v6.sin6_port = htons(port);
  std::memcpy(&result.address_.v6.sin6_addr, address.data(), address.size());
  result.address_.v6.sin6_scope_id = scope_id;
  result.size_ = sizeof(sockaddr_in6);
  return result;
}

endpoint endpoint::loopback_v4(std::uint16_t port) noexcept { return v4({127, 0, 0, 1}, port); }

endpoint endpoint::loopback_v6(std::uint16_t port) noexcept {
  return v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, port);
}

endpoint endpoint::any_v4(std::uint16_t port) noexcept { return v4({}, port); }

endpoint endpoint::any_v6(std::uint16_t port) noexcept { return v6({}, port); }

endpoint endpoint::of_path(std::string_view bytes) noexcept {
  endpoint result;
  sockaddr_un& local = result.address_.local;
  local.sun_family = AF_UNIX;
  std::copy(bytes.begin(), bytes.end(), local.sun_path);
  // A path is followed by a NUL where there is room for one; an abstract name never is.
  const bool path = !bytes.empty() && bytes.front() != '\0';
  const std::size_t terminator = path && bytes.size() < path_capacity ? 1 : 0;
  result.size_ = static_cast<socklen_t>(path_offset + bytes.size() + terminator);
  return result;
}

endpoint endpoint::unix_domain(std::string_view path, std::error_code& ec) noexcept {
  ec.clear();
  if (path.size() > path_capacity) {
    ec = std::make_error_code(std::errc::filename_too_long);
    return {};
  }
  if (!path.starts_with('\0') && path.find('\0') != std::string_view::npos) {
    ec = std::make_error_code(std::errc::invalid_argument);
    return {};
  }
  if (!path.starts_with('@')) return of_path(path);
  std::array<char, path_capacity> name{};
  std::copy(path.begin() + 1, path.end(), name.begin() + 1);
  return of_path({name.data(), path.size()});
}

endpoint endpoint::unix_domain(std::string_view path) {
  std::error_code ec;
  const endpoint result = unix_domain(path, ec);
  if (ec) {
    throw std::system_error(ec, "not a UNIX domain name: " + quote(path) + ": " +
                                    describe_unix_error(ec));
  }
  return result;
}

// The kernel reports a path of 108 bytes as one byte longer than sockaddr_un, and a caller may pass
// the size of its whole buffer: so a path ends at its NUL or with sun_path.
endpoint endpoint::copy_unix(const sockaddr* address, socklen_t size,
                             std::error_code& ec) noexcept {
  std::array<char, path_capacity> bytes{};
  const std::size_t length = size - path_offset;
  std::memcpy(bytes.data(), reinterpret_cast<const char*>(address) + path_offset,
              std::min(length, bytes.size()));
  if (length == 0 || bytes[0] != '\0') {
    return of_path({bytes.data(), ::strnlen(bytes.data(), bytes.size())});
  }
  if (length <= bytes.size()) return of_path({bytes.data(), length});
  ec = std::make_error_code(std::errc::invalid_argument);
  return {};
}

endpoint endpoint::from_native(const sockaddr* address, socklen_t size,
                               std::error_code& ec) noexcept {
  ec.clear();
  sa_family_t family = AF_UNSPEC;
  if (size == 0) return {};
  if (address != nullptr && size >= sizeof family) {
    // By copies alone, for `address` may lie at any alignment.
    std::memcpy(&family, address, sizeof family);
    if (family == AF_UNSPEC) return {};
    if (family == AF_INET && size >= sizeof(sockaddr_in)) return copy_v4(address);
    if (family == AF_INET6 && size >= sizeof(sockaddr_in6)) return copy_v6(address);
    if (family == AF_UNIX) return copy_unix(address, size, ec);
  }
  const bool known = family == AF_UNSPEC || family == AF_INET || family == AF_INET6;
  ec = std::make_error_code(known ? std::errc::invalid_argument
                                  : std::errc::address_family_not_supported);
  return {};
}

endpoint endpoint::from_native(const sockaddr* address, socklen_t size) {
  std::error_code ec;
  const endpoint result = from_native(address, size, ec);
  if (ec) throw std::system_error(ec, "endpoint::from_native");
  return result;
}

endpoint endpoint::parse(std::string_view text, std::error_code& ec) noexcept {
  const parsed result = parse_text(text);
  ec = result.ec;
  return result.value;
}

endpoint endpoint::parse(std::string_view text) {
  const parsed result = parse_text(text);
  if (!result.wrong) return result.value;
  throw std::system_error(result.ec, "not an endpoint: " + quote(text) + ": " + result.wrong +
                                         "; accepted are 127.0.0.1:80, [::1]:80, [fe80::1%eth0]:80,"
                                         " unix:/path and unix:@name");
}

bool endpoint::is_loopback() const noexcept {
  if (is_v4()) return ntohl(address_.v4.sin_addr.s_addr) >> 24 == 127;
  if (!is_v6()) return false;
  const in6_addr& address = address_.v6.sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&address) ||
         (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

std::uint16_t endpoint::port() const noexcept {
  if (is_v4()) return ntohs(address_.v4.sin_port);
  if (is_v6()) return ntohs(address_.v6.sin6_port);
  return 0;
}

endpoint endpoint::with_port(std::uint16_t port) const noexcept {
  endpoint result = *this;
  if (is_v4()) result.address_.v4.sin_port = htons(port);
  if (is_v6()) result.address_.v6.sin6_port = htons(port);
  return result;
}

std::string_view endpoint::path() const noexcept {
  if (!is_unix() || size_ <= path_offset) return {};
  const char* const bytes = address_.local.sun_path;
  if (bytes[0] == '\0') return {bytes, size_ - path_offset};
  return {bytes, ::strnlen(bytes, path_capacity)};
}

std::string endpoint::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text;
  if (is_unix()) return print_unix(path());
  if (is_v4()) {
    inet_ntop(AF_INET, &address_.v4.sin_addr, text.data(), text.size());
    return std::string(text.data()) + ':' + std::to_string(port());
  }
  if (is_v6()) {
    inet_ntop(AF_INET6, &address_.v6.sin6_addr, text.data(), text.size());
    const std::uint32_t scope = address_.v6.sin6_scope_id;
    return std::string("[") + text.data() + (scope != 0 ? '%' + std::to_string(scope) : "") +
           "]:" + std::to_string(port());
  }
  return "unspecified";
}

bool operator==(const endpoint& left, const endpoint& right) noexcept {
  return left.size_ == right.size_ && std::memcmp(&left.address_, &right.address_, left.size_) == 0;
}

std::strong_ordering operator<=>(const endpoint& left, const endpoint& right) noexcept {
  if (left.family() != right.family()) return left.family() <=> right.family();
  if (left.is_unix()) return left.path() <=> right.path();
  if (left.is_v4()) {
    const auto order =
        ntohl(left.address_.v4.sin_addr.s_addr) <=> ntohl(right.address_.v4.sin_addr.s_addr);
    return std::is_neq(order) ? order : left.port() <=> right.port();
  }
  if (left.is_v6()) {
    const sockaddr_in6& a = left.address_.v6;
    const sockaddr_in6& b = right.address_.v6;
    const int bytes = std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr);
    if (bytes != 0) return bytes <=> 0;
    const auto order = a.sin6_scope_id <=> b.sin6_scope_id;
    return std::is_neq(order) ? order : left.port() <=> right.port();
  }
  return std::strong_ordering::equal;
}

std::ostream& operator<<(std::ostream& out, const endpoint& value) {
  return out << value.to_string();
}

}  // namespace weft::net

std::size_t
std::hash<weft::net::endpoint>::operator()(const weft::net::endpoint& value) const noexcept {
  const char* const bytes = reinterpret_cast<const char*>(value.native());
  return std::hash<std::string_view>{}({bytes, value.native_size()});
}
