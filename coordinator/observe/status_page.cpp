#include "coordinator/observe/status_page.h"

#include <CivetServer.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <future>
#include <utility>
#include <vector>

namespace rotor::coordinator {
namespace {

constexpr int kMostJobs = 50;

void answer(mg_connection* connection, const std::string& status, const std::string& type,
            const std::string& body) {
  const std::string text =
      "HTTP/1.1 " + status + "\r\nContent-Type: " + type +
      "; charset=utf-8\r\nContent-Length: " + std::to_string(body.size()) +
      "\r\nCache-Control: no-store\r\nConnection: close\r\n"
      "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
      "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
      "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n" +
      body;
  mg_write(connection, text.data(), text.size());
}

class Page final : public CivetHandler {
 public:
  explicit Page(StatusPage::Look look) : look_(std::move(look)) {}

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    const std::string path = mg_get_request_info(connection)->local_uri;
    if (path != "/") {
      answer(connection, "404 Not Found", "text/plain", "there is one page, /\n");
      return true;
    }
    const Result<std::string> html = render();
    if (html.ok()) {
      answer(connection, "200 OK", "text/html", *html);
    } else {
      spdlog::error("the status page cannot be shown: {}", html.status().to_string());
      answer(connection, "503 Service Unavailable", "text/plain",
             "it cannot be shown now; the coordinator's log says why\n");
    }
    return true;
  }

 private:
  /// On a thread of its own: the server's have stacks of 100 KB, which it uses a good part of
  /// itself. The server is C, through which nothing may be thrown.
  Result<std::string> render() {
    const auto rendered = [this]() -> Result<std::string> {
      ROTOR_ASSIGN_OR_RETURN(const StatusView view, look_());
      return status_html(view);
    };
    try {
      return std::async(std::launch::async, rendered).get();
    } catch (const std::exception& error) {
      return internal_error(error.what());
    }
  }

  const StatusPage::Look look_;
};

}  // namespace

Result<StatusView> look_at(Core& core, const Clock& clock) {
  StatusView view;
  v1::ListJobsRequest request;
  request.set_page_size(kMostJobs);
  ROTOR_ASSIGN_OR_RETURN(const v1::ListJobsResponse listed, core.list(request));
  for (const v1::Job& job : listed.jobs()) {
    Result<std::map<int32_t, double>> errors = core.layer_errors(job.name());
    if (errors.ok()) {
      view.jobs.push_back({job, std::move(errors).value()});
    } else if (errors.status().code() != Code::kNotFound) {  // deleted meanwhile
      return errors.status();
    }
  }
  view.workers = core.list_workers();
  view.now_seconds = clock.wall_us() / 1'000'000;
  return view;
}

struct StatusPage::Impl {
  Impl(Look look, const std::vector<std::string>& options)
      : page(std::move(look)), server(options) {
    server.addHandler("/", page);
  }
  Page page;
  CivetServer server;  // last: it ends first
};

StatusPage::StatusPage() = default;
StatusPage::~StatusPage() = default;

Result<std::unique_ptr<StatusPage>> StatusPage::start(Look look, const std::string& address) {
  std::unique_ptr<StatusPage> page(new StatusPage());
  try {
    page->impl_ = std::make_unique<Impl>(
        std::move(look),
        std::vector<std::string>{"listening_ports", address, "num_threads", "2",
                                 "request_timeout_ms", "10000", "enable_directory_listing", "no"});
  } catch (const CivetException& error) {
    return listen_failed("status-listen", address, error.what());
  }
  return page;
}

int StatusPage::port() const {
  const std::vector<int> ports = impl_->server.getListeningPorts();
  return ports.empty() ? 0 : ports.front();
}

}  // namespace rotor::coordinator
